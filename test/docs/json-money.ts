/** Commands about money: limits, holds and overruns in a ledger of a few rows, and real mode against a simulator. */
import { EventEmitter } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';
import type { RunOptions } from '../setup/run-tvdb.ts';
import { LLAMA_KEY, letThrough, OPENAI_KEY } from '../simulator/start.ts';
import type { Place } from './json-place.ts';
import { changedHold, heldMoney } from './json-rows.ts';

const LETTER = 'documents/letter.pdf';
const UNICODE = 'documents/unicode.pdf';
const NEWSLETTER = 'documents/multicolumn-newsletter.pdf';
const BOTH_MOCK = '--service llamaparse=mock --service openai=mock';
/** A batch is looked at at once. */
const BATCH: RunOptions['env'] = { BATCH_POLL_FIRST: '20ms', BATCH_POLL_CAP: '50ms' };

/** Ends a command that goes on as soon as it has said something. */
export function untilHeard(): RunOptions {
  const signals = new EventEmitter();
  let onOutput: RunOptions['onOutput'] = (stream, text) => {
    // Events begin with a hello.
    if (stream !== 'stdout' || text.includes('"hello"')) return;
    onOutput = undefined;
    signals.emit('SIGINT');
  };
  return { signals, onOutput: (...told) => onOutput?.(...told) };
}

/** Limits, holds and overruns of requests that nobody sent. */
export async function ledger({ home, cwd, json }: Place): Promise<void> {
  const run = (line: string, options?: RunOptions) => json(line.split(' '), options);
  await run('costs budget set 3 --per day');
  await run('costs budget set 100 --requests 5');
  await run('costs budget set --requests 100 --per hour');
  await run('costs budget set 1 --per month --service openai');
  await run('costs budget set 2 --per day --cost-center claims --soft');
  await run('costs budget set 0.5 --per run');
  await run('costs budget set 900 --per day');
  await run('costs budget set 900 --per day --yes');
  await run('costs budget set 2 --per day', { env: { DAILY_COST_LIMIT_USD: '4' } });
  await run('costs budget list', { env: { DAILY_COST_LIMIT_USD: '4' } });
  await run('costs budget remove --per month --service openai --yes');
  await run('costs budget list');
  const { idle, lost, over } = await heldMoney(home);
  for (const line of ['costs holds', 'costs', 'costs budget list', 'costs acknowledge']) await run(line);
  await run(`costs holds release ${lost}`);
  await run(`costs holds release ${idle}`);
  await run(`costs acknowledge ${over}`);
  await run('costs --today --compare 2d');
  const usage = [
    { attempt_id: over, nano_usd: 90_000_000 },
    { attempt_id: lost, nano_usd: 40_000_000 },
    { attempt_id: 'c0ffee00-0000-4000-8000-000000000000', service: 'openai', nano_usd: 5 },
  ];
  writeFileSync(join(cwd, 'part.json'), JSON.stringify(usage.slice(0, 1)));
  await run('costs reconcile --provider-log part.json');
  writeFileSync(join(cwd, 'usage.json'), JSON.stringify(usage));
  await run('costs reconcile --provider-log usage.json');
  await run('costs budget set 0.01 --per day --yes');
  await run('costs verify');
  await changedHold(home, over);
  await run('costs verify');
  await run('doctor ledger');
}

/** Real mode: what is paid, known from before, of unknown outcome, and refused for want of money. */
export async function paid({ json, events, put }: Place): Promise<void> {
  letThrough();
  const simulator = await startSimulator({ clock: systemClock });
  const env: Record<string, string | undefined> = {
    LLAMA_CLOUD_BASE_URL: simulator.llamaUrl,
    OPENAI_BASE_URL: simulator.openaiUrl,
    LLAMAPARSE_API_KEY: LLAMA_KEY,
    OPENAI_API_KEY: OPENAI_KEY,
    LLAMAPARSE_REQUESTS_PER_MINUTE: '100000',
    ...{ POLL_FIRST: '1ms', POLL_CAP: '20ms', POLL_INTERVAL: '20ms', RETRY_BASE: '1ms', RETRY_CAP: '2ms' },
    EMBED_LINGER: '0ms',
  };
  const run = (line: string, more?: RunOptions['env'], options?: RunOptions) =>
    json(line.split(' '), { ...options, env: { ...env, ...more } });
  const stream = (line: string, more?: RunOptions['env']) => events(line.split(' '), { env: { ...env, ...more } });
  try {
    put('a.pdf', LETTER);
    put('b.pdf', UNICODE);
    put('empty.pdf', 'hostile/empty.pdf');
    await run('costs estimate a.pdf b.pdf a.pdf empty.pdf');
    await run('costs estimate empty.pdf');
    await run('costs estimate a.pdf --tier fast', { RUN_COST_LIMIT_USD: '0.000001' });
    await run('upload a.pdf -m real --dry-run');
    await run('upload a.pdf -m real --max-cost 0.000001');
    const first = (await run('upload a.pdf -m real --tag team=red --cost-center claims')).data.documents[0];
    await run(`trace ${first.job_id}`);
    await run('upload a.pdf -m real --force');
    await run('search letter -m real');
    await run('search letter -m real');
    await stream('upload b.pdf -m real --max-cost 1');
    await run('costs');
    for (const by of ['cost-center', 'tag']) await run(`costs --by ${by}`);
    for (const line of ['costs --daily', 'costs --monthly', 'costs reconcile', 'costs budget list']) await run(line);
    put('c.pdf', NEWSLETTER);
    simulator.control.faults('parse.create=cut');
    const lost = (await run('upload c.pdf -m real', { DRAIN_WAIT: '1ms' })).data.documents[0];
    await run(`trace ${lost.job_id}`);
    await run('costs holds');
    await run(`cancel ${lost.job_id}`);
    simulator.control.clearFaults();
    put('d.pdf', 'documents/benefits-guide.pdf');
    await run('upload d.pdf -m real');
    simulator.control.faults('embeddings=cut,job=credits-null:20');
    const doubt = (await run('upload c.pdf -m real --force', { DRAIN_WAIT: '1ms' })).data.documents[0];
    await run(`trace ${doubt.job_id}`);
    await run(`cancel ${doubt.job_id}`);
    simulator.control.clearFaults();
    const batch = (await run('upload c.pdf -m real --economy --force --no-cache', BATCH)).data.documents[0];
    await run(`trace ${batch.job_id}`);
    await run('costs reconcile');
    await run('smoke -m real --max-cost 0.05');
    await stream('smoke -m real --max-cost 0.05');
    simulator.control.faults('embeddings=cut');
    await run('smoke -m real --max-cost 0.05', { EMBED_UNKNOWN_WAIT: '1ms' });
    await run('smoke -m real --max-cost 0.000001');
    await run('smoke -m real', { OPENAI_API_KEY: undefined });
    await run('smoke -m real --skip-without-key', { OPENAI_API_KEY: undefined });
    await run('doctor llamaparse openai');
    await run('health --check', { SERVICE_MODE: 'real' });
    await run('mode', { SERVICE_MODE: 'real' });
    await run('status', { SERVICE_MODE: 'real' });
    const fallen = (await run('upload b.pdf -m hybrid', { OPENAI_API_KEY: undefined })).data.documents[0];
    const redone = (await run(`retry --fallbacks ${fallen.job_id}`)).data.jobs[0];
    await run(`trace ${redone.job_id}`);
    await run('retry --fallbacks --yes');
    await run('upload a.pdf -m real --force --no-cache --defer', { DAILY_COST_LIMIT_USD: '0.000001' });
    await run('cancel --all --yes');
    const moved = (await run(`upload a.pdf -m mock ${BOTH_MOCK} --force --no-wait`)).data.documents[0];
    await run('mode real --jobs all --yes');
    await run(`trace ${moved.job_id}`);
    await run('cancel --all --yes');
    await run('mode --service openai=mock');
    await run('mode --service openai=default');
  } finally {
    await simulator.close();
  }
}
