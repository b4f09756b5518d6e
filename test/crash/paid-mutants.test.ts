/** The witness of the paid crash tests must notice each of these mistakes; the build without them passes. */
import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { makeMany } from '../../fixtures/mutate.mjs';
import { type Mistake, mutantBuild } from './mutant-build.ts';
import { judge, mostAtATime } from './paid-witness.ts';
import { openCase, upload } from './simulator-process.ts';

interface Mutant extends Mistake {
  /** Where the first process is killed; absent: it is not. */
  kill?: string;
  faults?: string;
  /** One of the problems that must be found. */
  caught: RegExp;
}

const MUTANTS: Record<string, Mutant> = {
  'sends again what may have arrived': {
    find: 'const found = await lookFor(job, attempt, service, context);',
    put: "const found = { absent: 'nobody looked' };",
    kill: 'parse.after_send:3',
    caught: /2 accepted creates/,
  },
  'sends again after a cut, in the transport': {
    find: 'const answer = await http.send(requestOf(asked, key), signal);',
    put: 'const again = () => http.send(requestOf(asked, key), signal); const answer = await again().catch(again);',
    faults: 'parse.create=cut',
    caught: /attempt .* was sent 2 times/,
  },
  'takes any parse for its own': {
    find: 'job.correlation.attempt === attemptId',
    put: 'true',
    kill: 'parse.after_send:3',
    caught: /is not a parse of its document/,
  },
  'does not commit that a request leaves': {
    find: 'await context.record((trx) => markSent(trx, attempt.attempt_id, now));',
    put: '',
    kill: 'parse.after_send:3',
    caught: /attempt .* was sent 2 times/,
  },
  'does not keep the vectors with the end of the request': {
    find: 'await rememberVectors(trx, service.space, kept, clock.now());',
    put: '',
    kill: 'embed.batch_committed',
    caught: /a text was paid for 2 times with 0 unknown outcomes/,
  },
  'gives back the money of a request whose answer was lost': {
    find: 'return markUnknown(trx, { attemptId, now });',
    put: "return release(trx, { because: 'not_charged', attemptId, now });",
    kill: 'embed.after_batch',
    caught: /0 booked \(released\) where the bill says/,
  },
  'forgets a request whose process died': {
    find: "const dead = doubts.filter(({ outcome }) => outcome === 'sent');",
    put: 'const dead = [];',
    kill: 'embed.after_batch',
    caught: /a paid embedding request is sent/,
  },
};

describe.concurrent('a build that', () => {
  it.for(Object.entries(MUTANTS))('%s is caught', async ([, { kill, faults, caught, ...mistake }], hooks) => {
    const { binary, directory } = await mutantBuild([mistake]);
    hooks.onTestFinished(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));
    const paid = await openCase(hooks, { binary, ...(faults !== undefined && { faults }) });
    await makeMany(paid.documents, 3, 44);
    const one = { WORKER_CONCURRENCY: '1' };
    const first = await paid.run(upload(paid.documents), { ...one, ...(kill !== undefined && { TVDB_FAULT: kill }) });
    expect(first.signal).toBe(kill === undefined ? null : 'SIGKILL');
    await paid.run(['run'], one);
    const { problems } = await judge(paid, { embeddedAgain: 1 });
    expect(problems).toContainEqual(expect.stringMatching(caught));
  });

  it('does not count the parses at the service is caught', async (hooks) => {
    const { binary, directory } = await mutantBuild([
      { find: 'if (real && (await parsesInFlight(store.db)) >= settings.LLAMAPARSE_PARALLEL)', put: 'if (false)' },
      { find: 'if (real && (await parsesInFlight(trx)) >= settings.LLAMAPARSE_PARALLEL)', put: 'if (false)' },
    ]);
    hooks.onTestFinished(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));
    const paid = await openCase(hooks, { binary, latency: 'parse=2s,page=0ms,embed=10ms' });
    await makeMany(paid.documents, 6, 54);
    expect((await paid.run(upload(paid.documents), { LLAMAPARSE_PARALLEL: '3' })).code).toBe(0);
    expect(mostAtATime(paid.simulator.requests())).toBeGreaterThan(3);
  });
});
