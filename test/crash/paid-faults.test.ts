/** Faults of the services, met by the real binary: each costs what it must and no parse more. */
import { describe, expect, it } from 'vitest';
import { makeMany } from '../../fixtures/mutate.mjs';
import { storeSide } from './paid-store.ts';
import { judge } from './paid-witness.ts';
import { openCase, upload } from './simulator-process.ts';

/** What a fault may cost: POSTs that ask for the parse, and how the doubt about the first was ended. */
interface Cost {
  creates: number;
  doubt: 'adopted' | 'absent' | 'none';
  env?: Record<string, string>;
  /** Looks for the parse at least. */
  looks?: number;
  /** Left to the full lane: much like another one. */
  full?: boolean;
}

const FULL = Number(process.env.TVDB_CRASH_KILLS ?? '1') > 1;

/** Long enough for most other answers on a busy machine; a late one counts as lost. */
const SHORT_HEADERS = { HEADERS_TIMEOUT: '5s', REQUEST_TIMEOUT: '20s' };

const CREATE_FAULTS: Record<string, Cost> = {
  'parse.create=500': { creates: 2, doubt: 'absent' },
  'parse.create=500:accepted': { creates: 1, doubt: 'adopted', full: true },
  'parse.create=502:html': { creates: 2, doubt: 'absent', full: true },
  'parse.create=cut': { creates: 1, doubt: 'adopted' },
  'parse.create=cut-before': { creates: 2, doubt: 'absent' },
  'parse.create=hang': { creates: 1, doubt: 'adopted', env: SHORT_HEADERS },
  'parse.create=hang-before': { creates: 2, doubt: 'absent', env: SHORT_HEADERS },
  'parse.create=truncated': { creates: 1, doubt: 'adopted', full: true },
  'parse.create=html': { creates: 1, doubt: 'adopted', full: true },
  'parse.create=wrong-shape': { creates: 1, doubt: 'adopted', full: true },
  'parse.create=redirect:accepted': { creates: 1, doubt: 'adopted', full: true },
  'parse.create=429:retry-after=1': { creates: 2, doubt: 'none' },
  // Hidden for longer than the first look takes to come, and for less than the window.
  'parse.create=cut,job=hidden:4s': {
    creates: 1,
    doubt: 'adopted',
    env: { UNKNOWN_OUTCOME_WINDOW: '30s' },
    looks: 2,
  },
  'parse.create=cut,parse.list=500x3': { creates: 1, doubt: 'adopted', looks: 4 },
  'parse.create=cut,parse.list=cut,parse.list=truncated': { creates: 1, doubt: 'adopted', full: true },
  'files.create=500x2': { creates: 1, doubt: 'none' },
  'files.create=cut': { creates: 1, doubt: 'none', full: true },
  'files.create=cut-before': { creates: 1, doubt: 'none', full: true },
  'files.create=truncated': { creates: 1, doubt: 'none', full: true },
  'files.create=hang': { creates: 1, doubt: 'none', env: SHORT_HEADERS, full: true },
  'parse.get=500,parse.get=404,parse.get=cut': { creates: 1, doubt: 'none' },
  'parse.result=truncated,parse.result=502,parse.result=cut': { creates: 1, doubt: 'none' },
};

describe.concurrent('T03 T04 a document that meets', () => {
  it.for(Object.entries(CREATE_FAULTS).filter(([, { full }]) => FULL || full !== true))(
    '%s is parsed and paid once',
    async ([faults, cost], hooks) => {
      const paid = await openCase(hooks, { faults });
      await makeMany(paid.documents, 1, 45);
      const { creates, doubt, env, looks = 0 } = cost;
      const done = await paid.run(upload(paid.documents), { BREAKER_FAILURES: '20', ...env });
      expect([done.code, done.err]).toEqual([0, expect.any(String)]);
      const { events, ...verdict } = await judge(paid, { embeddedAgain: env === SHORT_HEADERS ? 2 : 0 });
      expect(verdict).toMatchObject({ problems: [], creates, accepted: 1, duplicates: 0, lost: 0 });
      const met = paid.simulator.requests().flatMap(({ fault }) => fault ?? []);
      expect(new Set(met)).toEqual(new Set(namesOf(faults)));
      expect(paid.simulator.requests('parse.list').length).toBeGreaterThanOrEqual(looks);
      const ended = { adopted: events.PARSE_ADOPTED ?? 0, absent: events.PARSE_ABSENT ?? 0 };
      expect(ended).toEqual({ adopted: doubt === 'adopted' ? 1 : 0, absent: doubt === 'absent' ? 1 : 0 });
    },
  );
});

describe.concurrent('an embedding request that meets', () => {
  it.for([
    ['embeddings=cut', 1, 1, {}],
    ['embeddings=500', 0, 1, {}],
    ['embeddings=hang', 1, 1, SHORT_HEADERS],
    ['embeddings=429:retry-after=1', 0, 0, {}],
  ] as [string, number, number, Record<string, string>][])(
    '%s is paid again %i times, with %i on record as unknown',
    async ([faults, again, unknown, env], hooks) => {
      const paid = await openCase(hooks, { faults });
      await makeMany(paid.documents, 1, 46);
      const done = await paid.run(upload(paid.documents), env);
      expect([done.code, done.err]).toEqual([0, expect.any(String)]);
      const verdict = await judge(paid, { embeddedAgain: 1 });
      expect(verdict).toMatchObject({ problems: [], accepted: 1, embeddedAgain: again, embedUnknown: unknown });
    },
  );
});

describe('T05 two parses that the service made of one request', () => {
  it('are one to us: the older is adopted, the other is charged, and budgets stop until it is seen', async (hooks) => {
    const paid = await openCase(hooks, { faults: 'parse.create=duplicate' });
    await makeMany(paid.documents, 1, 47);
    const killed = await paid.run(upload(paid.documents), { TVDB_FAULT: 'parse.after_send' });
    expect(killed.signal).toBe('SIGKILL');
    const json = async (...args: string[]) => JSON.parse((await paid.run([...args, '--json'])).out);
    const stopped = await paid.run(['run']);
    expect([stopped.code, stopped.out]).toEqual([5, expect.stringContaining('\toverrun\t')]);
    expect(stopped.err).toMatch(/TVDB-E204[\s\S]*is stopped[\s\S]*tvdb costs acknowledge/);
    const [create] = paid.simulator.requests('parse.create');
    const [of, twin] = (await storeSide(paid.home)).attempts.filter(({ service }) => service === 'parse');
    expect([of?.remote_id, twin?.remote_id]).toEqual(create?.made);
    // Seen wherever money is looked at; and the whole bill is in the ledger although nothing else is done yet.
    const { overruns } = (await json('costs', 'acknowledge')).data;
    const nano = (await paid.simulator.bill()).nanoUsd / 2;
    expect(overruns).toMatchObject([
      { attempt_id: twin?.attempt_id, twin_of: of?.attempt_id, reserved_nano_usd: 0, overrun_nano_usd: nano },
    ]);
    const costs = (await json('costs')).data;
    expect(costs.totals.spent_nano_usd).toBe(2 * nano);
    expect(costs.caps.map((one: { stopped_by: string }) => one.stopped_by)).toEqual([twin?.attempt_id]);
    expect((await json('doctor', 'ledger')).data.checks).toMatchObject([{ status: 'warn' }]);
    expect((await json('costs', 'verify')).data).toMatchObject({ findings: [] });
    const seen = await paid.run(['costs', 'acknowledge', twin?.attempt_id.slice(0, 8) ?? '']);
    expect([seen.code, seen.err]).toEqual([0, expect.any(String)]);
    const after = await paid.run(['run']);
    expect([after.code, after.err]).toEqual([0, expect.any(String)]);
    const verdict = await judge(paid, { twins: 1 });
    expect(verdict).toMatchObject({ problems: [], creates: 1, accepted: 1 });
    expect(verdict.events).toMatchObject({ PARSE_ADOPTED: 1, PARSE_OVERRUN: 1 });
    expect((await json('costs', 'acknowledge')).data.overruns).toEqual([]);
  });
});

/** As the simulator's log names them; what happens to a job after its request is not in it. */
function namesOf(faults: string): string[] {
  return faults
    .split(',')
    .map((rule) => rule.replace(/:.*$|x\d+$/, ''))
    .filter((name) => !name.startsWith('job='));
}
