/** Every command with a JSON form, run in process in success, on an empty store and in failure. */
import { EventEmitter } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunOptions } from '../setup/run-tvdb.ts';
import { ledger, paid, untilHeard } from './json-money.ts';
import { type Place, placeNamed, type Situation } from './json-place.ts';
import { limited, moreJobs, otherSpace, paidRequest, pausedServices, worker } from './json-rows.ts';

const LETTER = 'documents/letter.pdf';
const UNICODE = 'documents/unicode.pdf';
const NEWSLETTER = 'documents/multicolumn-newsletter.pdf';
const SCAN = 'hostile/scan-no-text.pdf';

/** The embedder refuses and nothing is tried again. */
const FAILING = { MOCK_EMBED_FAILURE_RATE: '1', MAX_RETRIES: '0' };
/** The embedder refuses and the next try is in minutes. */
const RESTING = { MOCK_EMBED_FAILURE_RATE: '1', RETRY_BASE: '10m', RETRY_CAP: '10m', DRAIN_WAIT: '1ms' };

/** Runs every situation; the places side by side. About 15 s of one processor. */
export async function allSituations(commands: readonly string[]): Promise<Situation[]> {
  const kept: Situation[] = [];
  const place = (name: string) => placeNamed(name, commands, kept);
  await Promise.all([
    nothing(place('empty')),
    documents(place('documents')),
    troubles(place('troubles')),
    workers(place('workers')),
    settings(place('settings')),
    streams(place('streams')),
    ledger(place('ledger')),
    paid(place('paid')),
  ]);
  return kept;
}

/** Nothing there yet, and command lines that are refused before anything is done. */
async function nothing({ json, put }: Place): Promise<void> {
  for (const line of ANSWERED) await json(line.split(' '));
  for (const line of REFUSED) await json(line.split(' '));
  await json(['serve'], untilHeard());
  const broken = { product: { openWorld: () => Promise.reject(new Error('a bug')) } };
  for (const line of BROKEN) await json(line.split(' '), broken);
  put('empty.pdf', 'hostile/empty.pdf');
  await json(['upload', 'empty.pdf']);
}

const ANSWERED = [
  'status',
  'costs',
  'costs --daily',
  'costs budget list',
  'costs holds',
  'costs acknowledge',
  'costs reconcile',
  'costs verify',
  'smoke',
  'smoke --only parse --keep',
  'simulate --list-faults',
  'health',
  'search hello',
  'export -o all.ndjson',
  'mode',
  'config list',
  'help',
  'run',
  'cancel --all --yes',
  'retry --failed --yes',
  'doctor node home store --offline',
  'version',
];
const REFUSED = [
  'upload',
  'upload none.pdf',
  'upload --resume ffff',
  'run --only-run ffff',
  'run -m real',
  'retry',
  'retry ffff',
  'cancel',
  'cancel ffff',
  'status ffff',
  'trace ffff',
  'search ffff --doc ffff',
  'search hello --space nowhere',
  'export',
  'export -o x.ndjson --space nowhere',
  'costs --since nonsense',
  'costs estimate none.pdf',
  'costs budget set',
  'costs budget remove --per month --service openai',
  'costs budget list extra',
  'costs holds extra',
  'costs holds release ffff',
  'costs acknowledge ffff',
  'costs reconcile --provider-log none.json',
  'costs verify extra',
  'smoke --mode real',
  'serve --port 0',
  'simulate --faults nonsense',
  'health nonsense',
  'mode hybird',
  'mode real',
  'config list --nonsense',
  'delete ffff --yes',
  'doctor nonsense',
  'help nonsense',
  'nonsense',
  'completion bash',
  'version extra',
];
/** Commands in which the store cannot be opened for a reason nobody foresaw. */
const BROKEN = [
  'upload a.pdf',
  'run',
  'retry ffff',
  'cancel ffff',
  'status',
  'trace ffff',
  'search a',
  'costs',
  'health',
  'mode',
  'delete ffff',
];

/** Documents that go through, their versions, copies and neighbours, and everything that reads them. */
async function documents({ home, cwd, json, put }: Place): Promise<void> {
  for (const directory of ['tree', 'tree/.hidden']) mkdirSync(join(cwd, directory));
  put('tree/a.pdf', LETTER);
  put('tree/copy.pdf', LETTER);
  put('tree/empty.pdf', 'hostile/empty.pdf');
  writeFileSync(join(cwd, 'tree/notes.txt'), 'no PDF');
  const first = (await json(['upload', '--recursive', 'tree', '-m', 'hybrid'])).data;
  const again = (await json(['upload', 'tree/a.pdf', '-m', 'hybrid'])).data.documents[0];
  await json(['trace', again.job_id]);
  await json(['upload', 'tree/a.pdf', '-m', 'hybrid', '--on-fallback', 'fail']);
  put('tree/a.pdf', UNICODE);
  await json(['upload', 'tree/a.pdf', '--tag', 'team=red']);
  put('b.pdf', NEWSLETTER);
  await json(['upload', 'b.pdf', '--dry-run']);
  put('tree/a.pdf', NEWSLETTER);
  const kept = (await json(['upload', 'tree/a.pdf', '--keep-old'])).data.documents[0];
  await json(['status']);
  await json(['status', '--limit', '1', '--fields', 'job_id,status,queue']);
  await json(['trace', first.run_id]);
  await json(['trace', kept.job_id, '--full']);
  await json(['search', 'letter']);
  await json(['search', 'letter', '--min-results', '900']);
  await json(['export', '-o', 'all.ndjson', '--no-vectors']);
  await otherSpace(home);
  await json(['search', 'letter']);
  await json(['export', '-o', 'mixed.ndjson']);
  await paidRequest(home, kept.job_id);
  for (const flags of ['--daily', '--monthly', ...GROUPINGS.map((by) => `--by ${by}`)]) {
    await json(['costs', ...flags.split(' ')]);
  }
  await json(['costs']);
  await json(['trace', await moreJobs(home, first.run_id)]);
  await json(['trace', first.run_id]);
  const queued = (await json(['upload', 'b.pdf', '--force', '--no-wait'])).data.documents[0];
  await json(['upload', 'b.pdf', '--force', '--no-wait', '--exit-status']);
  await json(['delete', queued.document_id, '--yes']);
  await json(['delete', queued.document_id, '--yes']);
  await json(['status', queued.job_id]);
  await json(['trace', queued.job_id]);
  await json(['delete', kept.job_id, '--yes']);
  for (const topic of ['trace', 'exit-codes', 'environment', 'formatting', 'errors', 'errors E101', 'errors E000']) {
    await json(['help', ...topic.split(' ')]);
  }
}

const GROUPINGS = ['service', 'mode', 'origin', 'job', 'document', 'run'];

/** Jobs that fail, rest and are stopped. */
async function troubles({ home, json, put }: Place): Promise<void> {
  put('a.pdf', LETTER);
  put('b.pdf', UNICODE);
  put('scan.pdf', SCAN);
  const failed = (await json(['upload', 'a.pdf', 'b.pdf'], { env: FAILING })).data;
  const [one, two] = failed.documents;
  await json(['status', '--exit-status']);
  await json(['trace', one.job_id, '--follow']);
  await json(['retry', one.job_id], { env: FAILING });
  await json(['retry', two.job_id, '--no-wait']);
  await json(['run', '--once'], { env: FAILING });
  await json(['upload', '--resume', failed.run_id], { env: FAILING });
  await json(['upload', '--resume', failed.run_id]);
  await json(['retry', one.job_id]);
  await json(['retry', failed.run_id]);
  await json(['trace', one.job_id]);
  const resting = (await json(['upload', 'a.pdf', '--force'], { env: RESTING })).data.documents[0];
  await json(['status']);
  await json(['status', resting.job_id, '--exit-status']);
  await json(['trace', resting.job_id]);
  await json(['run'], { env: RESTING });
  await json(['retry', resting.job_id], { env: RESTING });
  await json(['retry', resting.job_id]);
  const slow = (await json(['upload', 'b.pdf', '--force', '--no-wait'])).data.documents[0];
  await limited(home, slow.job_id);
  await json(['retry', slow.job_id, '--no-wait']);
  await json(['status'], { env: { SERVICE_MODE: 'real' } });
  await json(['cancel', slow.job_id]);
  await json(['cancel', slow.job_id, one.job_id]);
  await json(['trace', slow.job_id]);
  await json(['upload', 'scan.pdf']);
  await json(['upload', 'scan.pdf', 'a.pdf']);
}

/** A worker that lives, one that died, and one that is stopped by hand. */
async function workers({ home, json, put }: Place): Promise<void> {
  put('a.pdf', LETTER);
  const accepted = (await json(['upload', 'a.pdf', '--no-wait'])).data.documents[0];
  await worker(home, accepted.job_id, { lives: true });
  await json(['status']);
  await json(['retry', accepted.job_id, '--no-wait']);
  await worker(home, accepted.job_id, { lives: false });
  await json(['run']);
  await json(['trace', accepted.job_id]);
  await json(['run', '--watch', '--idle-timeout', '1ms']);
  const signals = new EventEmitter();
  // Once: a second Ctrl-C ends the process at once.
  let onOutput: RunOptions['onOutput'] = () => {
    onOutput = undefined;
    signals.emit('SIGINT');
  };
  await json(['run', '--watch'], { signals, onOutput: (...told) => onOutput?.(...told) });
}

/** What is saved, what hides it, and what is wrong with it. */
async function settings({ json, home, cwd }: Place): Promise<void> {
  await json(['serve', '-m', 'hybrid'], untilHeard());
  await json(['simulate', '--faults', 'embeddings=429*', '--log', 'requests.ndjson'], untilHeard());
  const key = { OPENAI_API_KEY: 'sk-test-1234567890abcdef' };
  await json(['mode', 'hybrid']);
  await json(['mode']);
  await json(['mode', 'mock'], { env: { SERVICE_MODE: 'hybrid', ...key } });
  writeFileSync(join(cwd, '.env'), 'SERVICE_MODE=hybrid\nOPENAI_API_KEY=sk-test-1234567890abcdef\n');
  chmodSync(join(cwd, '.env'), 0o644);
  await json(['config', 'list'], { env: { SERVICE_MODE: 'mock', ...key } });
  await json(['config', 'list', '--set']);
  await json(['config', 'list'], { env: { SERVICE_MODE: 'reel', MAX_PAGES: 'many' } });
  await pausedServices(home);
  await json(['health', '--check']);
  await json(['health', '--reset'], { env: { SERVICE_MODE: 'real' } });
  await json(['version']);
  await json(['doctor', '--offline']);
  await json(['doctor', 'env-files', 'home', '--fix', '--offline']);
  await json(['doctor', '--list-checks']);
  await json(['doctor', 'home'], { env: { TVDB_HOME: join(home, 'work/.env') } });
}

/** The same as events. */
async function streams({ events, put }: Place): Promise<void> {
  put('a.pdf', LETTER);
  put('b.pdf', UNICODE);
  put('scan.pdf', SCAN);
  for (const refused of ['upload none.pdf', 'costs', 'nonsense']) await events(refused.split(' '));
  const { data } = (await events(['upload', 'a.pdf', 'b.pdf', '-m', 'hybrid'])).at(-1);
  await events(['upload', 'a.pdf', 'b.pdf', '--force'], { env: FAILING });
  await events(['upload', 'scan.pdf', '--no-wait']);
  await events(['run']);
  await events(['retry', '--failed', '--yes'], { env: FAILING });
  await events(['upload', 'a.pdf', '--force'], { env: RESTING });
  await events(['run'], { env: RESTING });
  await events(['upload', 'a.pdf', '--force']);
  await events(['serve'], untilHeard());
  await events(['smoke']);
  await events(['status']);
  await events(['status', data.documents[0].job_id, '--watch']);
  await events(['trace', data.run_id]);
  await events(['trace', data.documents[0].job_id, '--follow']);
  await events(['export']);
  await events(['export', '--no-vectors']);
}
