/**
 * Fifty documents through the paid services, as the simulator plays them at their usual speed, against the least time and
 * the fewest embedding requests that such documents can be done in. Once with webhooks, once with polling alone.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makePages } from '../../fixtures/mutate.mjs';
import { systemClock } from '../../src/base/clock.ts';
import { loadConfig } from '../../src/config/load.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { openStore } from '../../src/store/open.ts';
import { type Bench, cleanEnv, ms, ratioLine } from './figures.ts';

const DOCUMENTS = 50;
const PARSE_MS = 2_000;
const PAGE_MS = 150;
const EMBED_MS = 150;
const PARALLEL = 20;
const TOKENS_PER_MINUTE = 5_000_000;
const REQUESTS_PER_MINUTE = 3_000;
/** 5 to 60 pages, by turns short and long: 13 is coprime to 56. */
const pagesOf = (index: number) => 5 + ((index * 13) % 56);

/** Runs in a process of its own, as a service does: prints its address, ends with its standard input. */
export async function simulate(): Promise<void> {
  // Its pages are invented: reading them would take processor time here that a service spends elsewhere.
  const { url } = await startSimulator({
    clock: systemClock,
    latency: { parse: PARSE_MS, page: PAGE_MS, embed: EMBED_MS },
    limits: { openaiTokens: TOKENS_PER_MINUTE, openaiRequests: REQUESTS_PER_MINUTE },
  });
  process.stdout.write(`${url}\n`);
  process.stdin.resume().on('end', () => process.exit());
}

export async function measure({ root, directory }: Bench): Promise<string[]> {
  const folder = join(directory, 'documents');
  mkdirSync(folder);
  for (let index = 0; index < DOCUMENTS; index++)
    writeFileSync(join(folder, `${String(index).padStart(2, '0')}.pdf`), makePages(pagesOf(index), index));
  const lines: string[] = [];
  for (const way of ['webhook', 'poll'] as const) lines.push(...(await one(way, { root, directory, folder })));
  return lines;
}

async function one(
  way: 'webhook' | 'poll',
  { root, directory, folder }: Bench & { folder: string },
): Promise<string[]> {
  const code = `import(${JSON.stringify(join(root, 'dist/bench/services.js'))}).then(({ simulate }) => simulate())`;
  const simulator = spawn(process.execPath, ['-e', code], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    const [told] = (await once(simulator.stdout, 'data')) as [Buffer];
    const url = told.toString().trim();
    const env = {
      ...cleanEnv(directory),
      TVDB_HOME: join(directory, way),
      LLAMA_CLOUD_BASE_URL: url,
      OPENAI_BASE_URL: `${url}/v1`,
      LLAMAPARSE_API_KEY: 'llx-of-the-bench',
      OPENAI_API_KEY: 'sk-of-the-bench',
      LLAMAPARSE_PARALLEL: String(PARALLEL),
      LLAMAPARSE_REQUESTS_PER_MINUTE: String(REQUESTS_PER_MINUTE),
      OPENAI_TOKENS_PER_MINUTE: String(TOKENS_PER_MINUTE),
      // Some 1,600 pages at list prices.
      COST_AUTO_APPROVE_USD: '100',
      DAILY_COST_LIMIT_USD: '100',
    };
    const started = performance.now();
    const args = [join(root, 'bin/tvdb.js'), 'upload', folder, '--recursive', '--mode', 'real', '--results', way];
    const { status, stderr } = spawnSync(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    const took = performance.now() - started;
    if (status !== 0) throw new Error(`the upload ended with ${status}: ${stderr}`);
    const requests = await requestsAt(url);
    return report(way, took, requests, await leastOf(env));
  } finally {
    simulator.stdin.end();
  }
}

interface Requests {
  embeddings: number;
  llama: number;
}

async function requestsAt(url: string): Promise<Requests> {
  const { requests } = (await (await fetch(`${url}/_control/log`)).json()) as { requests: { path: string }[] };
  const embeddings = requests.filter(({ path }) => path === '/v1/embeddings').length;
  return { embeddings, llama: requests.filter(({ path }) => path.startsWith('/api/')).length };
}

/** What the stored chunks would have taken at the least. */
async function leastOf(env: Record<string, string>): Promise<{ embeddings: number; tokens: number; chunks: number }> {
  const { home, settings } = loadConfig({ env, cwd: env.HOME ?? '/' });
  const store = openStore({ home });
  try {
    const row = store.sqlite
      .prepare('SELECT COUNT(*) AS chunks, SUM(token_count) AS tokens FROM document_chunks')
      .get();
    const { chunks, tokens } = row as { chunks: number; tokens: number };
    const embeddings = Math.max(
      Math.ceil(chunks / settings.EMBED_BATCH_SIZE),
      Math.ceil(tokens / settings.EMBED_BATCH_TOKENS),
    );
    return { embeddings, tokens, chunks };
  } finally {
    await store.close();
  }
}

function report(
  way: string,
  took: number,
  requests: Requests,
  least: { embeddings: number; tokens: number; chunks: number },
): string[] {
  const parses = Array.from({ length: DOCUMENTS }, (_, index) => PARSE_MS + PAGE_MS * pagesOf(index));
  const sum = parses.reduce((total, one) => total + one, 0);
  const bounds = {
    'slowest document': Math.max(...parses),
    'parse slots': sum / PARALLEL,
    tokens: (least.tokens / TOKENS_PER_MINUTE) * 60_000,
    requests: (requests.llama / REQUESTS_PER_MINUTE) * 60_000,
  };
  const [[by, bound]] = Object.entries(bounds).sort(([, a], [, b]) => b - a) as [[string, number]];
  return [
    ratioLine(
      `50 documents, ${way} : least time`,
      took / bound,
      1.15,
      `${ms(took)} : ${ms(bound)} (${by}); ${requests.llama} requests to the parser`,
    ),
    ratioLine(
      `embedding requests : fewest`,
      requests.embeddings / least.embeddings,
      1.1,
      `${requests.embeddings} : ${least.embeddings}   ${least.chunks} chunks, ${least.tokens} tokens`,
    ),
  ];
}
