/** Every command with a JSON form, run in process in success, on an empty store and in failure: what it wrote. */
import { appendFileSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemIds } from '../../src/base/ids.ts';
import { encodeVector, vectorSha } from '../../src/domain/vector.ts';
import { addVectors } from '../../src/search/vector-index.ts';
import { startRun } from '../../src/store/runs.ts';
import { makeHome, storeAt } from '../cli/seeded-home.ts';
import { addJob } from '../setup/jobs.ts';
import { type Run, type RunOptions, runTvdb } from '../setup/run-tvdb.ts';

// biome-ignore lint/suspicious/noExplicitAny: documents of many shapes
export type Json = any;

/** One run of the tool with `--json` or `--ndjson`. */
export interface Situation {
  /** The command line, after what it is run on: `empty: status`. */
  readonly name: string;
  /** Words of the command, to find its declaration; `''` where the command line is not understood. */
  readonly command: string;
  readonly ndjson: boolean;
  readonly code: number;
  readonly stdout: string;
}

/** A home in which commands are run and kept. */
interface Place {
  readonly home: string;
  readonly cwd: string;
  /** Runs with `--json`, keeps the output and returns the document. */
  json(argv: readonly string[], options?: RunOptions): Promise<Json>;
  /** The same with `--ndjson`. */
  events(argv: readonly string[], options?: RunOptions): Promise<Json[]>;
  /** Puts a fixture into the working directory. */
  put(name: string, fixture: string): void;
}

const FIXTURES = fileURLToPath(new URL('../../fixtures/', import.meta.url));
const LETTER = 'documents/letter.pdf';
const UNICODE = 'documents/unicode.pdf';
const NEWSLETTER = 'documents/multicolumn-newsletter.pdf';
const SCAN = 'hostile/scan-no-text.pdf';

/** The embedder refuses and nothing is tried again. */
const FAILING = { MOCK_EMBED_FAILURE_RATE: '1', MAX_RETRIES: '0' };
/** The embedder refuses and the next try is in minutes. */
const RESTING = { MOCK_EMBED_FAILURE_RATE: '1', RETRY_BASE: '10m', RETRY_CAP: '10m', DRAIN_WAIT: '1ms' };
/** The parser needs minutes. */
const SLOW = { MOCK_PARSE_LATENCY: '10m', DRAIN_WAIT: '1ms' };

/** Runs every situation, a few at a time; about 15 s of one processor. */
export async function allSituations(commands: readonly string[]): Promise<Situation[]> {
  const kept: Situation[] = [];
  const place = (name: string) => placeNamed(name, commands, kept);
  await Promise.all([
    emptyStore(place('empty')),
    documents(place('documents')),
    troubles(place('troubles')),
    settings(place('settings')),
    streams(place('streams')),
  ]);
  return kept;
}

function placeNamed(name: string, commands: readonly string[], kept: Situation[]): Place {
  const home = makeHome();
  const cwd = join(home, 'work');
  mkdirSync(cwd);
  const keep = (argv: readonly string[], ndjson: boolean, { code, stdout }: Run) => {
    const words = [argv.slice(0, 2).join(' '), argv[0] ?? ''];
    const command = words.find((one) => commands.includes(one)) ?? '';
    if (process.env.JD) appendFileSync('/tmp/jd/log', `${Date.now() % 1000000} ${name}: ${argv.join(' ')} ${code}\n`);
    kept.push({ name: `${name}: ${argv.join(' ')}`, command, ndjson, code, stdout });
  };
  return {
    home,
    cwd,
    async json(argv, options) {
      const run = await runTvdb([...argv, '--json'], { home, cwd, random: () => 0.5, ...options });
      keep(argv, false, run);
      return run.json;
    },
    async events(argv, options) {
      const run = await runTvdb([...argv, '--ndjson'], { home, cwd, random: () => 0.5, ...options });
      keep(argv, true, run);
      return run.stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
    },
    put: (file, fixture) => copyFileSync(join(FIXTURES, fixture), join(cwd, file)),
  };
}

/** Nothing there yet, and command lines that are refused. */
async function emptyStore({ json, put }: Place): Promise<void> {
  const lines = [
    'status', 'costs', 'costs --daily', 'search hello', 'export -o all.ndjson', 'mode', 'config list', 'help', 'run',
    'cancel --all --yes', 'retry --failed --yes', 'doctor node home store --offline',
    // Refused, each before it does anything.
    'upload', 'upload none.pdf', 'run --only-run ffff', 'retry', 'cancel', 'status ffff', 'trace ffff', 'search ffff --doc ffff',
    'export', 'costs --since nonsense', 'mode hybird', 'mode real', 'config list --nonsense', 'delete ffff --yes', 'doctor nonsense',
    'help nonsense', 'nonsense', 'completion bash', 'status --fields nonsense',
  ];
  for (const line of lines) await json(line.split(' '));
  put('empty.pdf', 'hostile/empty.pdf');
  await json(['upload', 'empty.pdf']);
}

/** Documents that go through, their versions, copies and neighbours, and everything that reads them. */
async function documents({ home, cwd, json, put }: Place): Promise<void> {
  for (const directory of ['tree', 'tree/.hidden']) mkdirSync(join(cwd, directory));
  put('tree/a.pdf', LETTER);
  put('tree/copy.pdf', LETTER);
  put('tree/empty.pdf', 'hostile/empty.pdf');
  writeFileSync(join(cwd, 'tree/notes.txt'), 'no PDF');
  const first = (await json(['upload', '--recursive', 'tree', '-m', 'hybrid'])).data;
  await json(['upload', 'tree/a.pdf', '-m', 'hybrid']);
  await json(['upload', 'tree/a.pdf', '-m', 'hybrid', '--on-fallback', 'fail']);
  put('tree/a.pdf', UNICODE);
  await json(['upload', 'tree/a.pdf', '--tag', 'team=red']);
  put('b.pdf', NEWSLETTER);
  await json(['upload', 'b.pdf', '--dry-run']);
  put('tree/a.pdf', NEWSLETTER);
  const kept = (await json(['upload', 'tree/a.pdf', '--keep-old'])).data.documents[0];
  await json(['status']);
  await json(['status', '--fields', 'job_id,status,queue']);
  await json(['trace', first.run_id]);
  await json(['trace', kept.job_id, '--full']);
  await json(['search', 'letter']);
  await json(['search', 'letter', '--min-results', '900']);
  for (const flags of [[], ['--daily'], ['--monthly'], ...['service', 'mode', 'origin', 'job', 'document', 'run'].map((by) => ['--by', by])]) {
    await json(['costs', ...flags]);
  }
  await json(['export', '-o', 'all.ndjson']);
  await json(['export', '-o', 'text.ndjson', '--no-vectors']);
  await otherSpace(home);
  await json(['search', 'letter']);
  await json(['export', '-o', 'mixed.ndjson']);
  await json(['trace', await moreJobs(home, first.run_id)]);
  await json(['trace', first.run_id]);
  const job = (await json(['upload', 'b.pdf', '--force', '--no-wait'])).data.documents[0];
  await json(['upload', 'b.pdf', '--force', '--no-wait', '--exit-status']);
  await json(['delete', job.document_id, '--yes']);
  await json(['delete', job.document_id, '--yes']);
  await json(['status', job.job_id]);
  await json(['trace', job.job_id]);
  await json(['delete', kept.job_id, '--yes']);
  await json(['help', 'trace']);
  for (const topic of ['exit-codes', 'environment', 'formatting', 'errors', 'errors E101']) await json(['help', ...topic.split(' ')]);
}

/** Gives a searchable chunk a vector of a space that the mode does not search. */
async function otherSpace(home: string): Promise<void> {
  const vector = encodeVector(Float32Array.from([1, 0, 0, 0, 0, 0, 0, 0]));
  await storeAt(home, async (store) => {
    const { chunk_id: chunkId, document_id: documentId } = await store.db
      .selectFrom('document_chunks')
      .select(['chunk_id', 'document_id'])
      .executeTakeFirstOrThrow();
    const rows = [{ chunkId, vector, vectorSha: vectorSha(vector), origin: 'real' as const }];
    await store.write((trx) => addVectors(trx, { spaceName: 'openai/x/8', dimensions: 8, documentId, rows }));
  });
}

/** Gives a run more jobs than `trace` tells; returns the id of another run that has none. */
async function moreJobs(home: string, runId: string): Promise<string> {
  const emptyRun = systemIds.uuid();
  await storeAt(home, async (store) => {
    for (let count = 0; count < 6; count += 1) await addJob(store, systemIds, { run_id: runId });
    await store.write((trx) => startRun(trx, { runId: emptyRun, command: 'upload', mode: 'mock', now: 1 }));
  });
  return emptyRun;
}

async function troubles({ json, put }: Place): Promise<void> {
  put('a.pdf', LETTER);
  put('b.pdf', UNICODE);
  put('scan.pdf', SCAN);
  const failed = (await json(['upload', 'a.pdf', 'b.pdf'], { env: FAILING })).data;
  const [one, two] = failed.documents;
  await json(['status', '--exit-status']);
  await json(['trace', one.job_id, '--follow']);
  await json(['retry', one.job_id], { env: FAILING });
  await json(['retry', two.job_id, '--no-wait']);
  await json(['run'], { env: FAILING });
  await json(['retry', failed.run_id, '--no-wait']);
  await json(['run']);
  await json(['retry', one.job_id]);
  await json(['retry', failed.run_id]);
  const resting = (await json(['upload', 'a.pdf', '--force', '--tag', 'x=y'], { env: RESTING })).data.documents[0];
  await json(['status']);
  await json(['status', resting.job_id, '--exit-status']);
  await json(['trace', resting.job_id]);
  await json(['run'], { env: RESTING });
  await json(['retry', resting.job_id], { env: RESTING });
  await json(['retry', resting.job_id]);
  const slow = (await json(['upload', 'b.pdf', '--force', '--timeout', '500ms'], { env: SLOW })).data.documents[0];
  await json(['retry', slow.job_id, '--no-wait']);
  await json(['status'], { env: { SERVICE_MODE: 'real' } });
  await json(['cancel', slow.job_id]);
  await json(['cancel', slow.job_id, one.job_id]);
  await json(['upload', 'scan.pdf']);
  await json(['upload', 'scan.pdf', 'a.pdf']);
  await json(['upload', '--resume', failed.run_id]);
}

async function settings({ json, home, cwd }: Place): Promise<void> {
  await json(['mode', 'hybrid']);
  await json(['mode']);
  await json(['mode', 'mock'], { env: { SERVICE_MODE: 'hybrid', OPENAI_API_KEY: 'sk-test-1234567890abcdef' } });
  writeFileSync(join(cwd, '.env'), 'SERVICE_MODE=hybrid\n', { mode: 0o644 });
  await json(['config', 'list'], { env: { SERVICE_MODE: 'mock', OPENAI_API_KEY: 'sk-test-1234567890abcdef' } });
  await json(['config', 'list', '--set']);
  await json(['doctor', '--offline']);
  await json(['doctor', '--fix', '--offline', 'env-files', 'home']);
  await json(['doctor', '--list-checks']);
  await json(['doctor', 'home'], { env: { TVDB_HOME: join(home, 'work/.env') } });
}

async function streams({ events, put, home }: Place): Promise<void> {
  put('a.pdf', LETTER);
  put('b.pdf', UNICODE);
  put('scan.pdf', SCAN);
  await events(['upload', 'none.pdf']);
  const lines = await events(['upload', 'a.pdf', 'b.pdf', '-m', 'hybrid']);
  const { data } = lines.at(-1) as Json;
  await events(['upload', 'a.pdf', 'b.pdf', '--force'], { env: FAILING });
  await events(['upload', 'scan.pdf', '--no-wait']);
  await events(['run']);
  await events(['run']);
  await events(['retry', '--failed', '--yes'], { env: FAILING });
  await events(['upload', 'a.pdf', '--force'], { env: RESTING });
  await events(['run'], { env: RESTING });
  await events(['status']);
  await events(['status', data.documents[0].job_id, '--watch']);
  await events(['trace', data.run_id]);
  await events(['trace', data.documents[0].job_id, '--follow']);
  await events(['export']);
  void home;
}
