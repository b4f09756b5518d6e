/** Consent on a real pseudo terminal: the question is asked on it, and its default spends nothing. */
import { resolve } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { spawn } from '@lydell/node-pty';
import { describe, expect, it } from 'vitest';
import { moneyPlace } from './money-place.ts';
import { letter } from './workplace.ts';

const TOOL = resolve('bin/tvdb.js');
const RETRY = 'retry --fallbacks';

/** Runs the tool where everything is a terminal, and answers the question if it is asked. */
async function asked(answer: string, { before = '', line = 'upload a.pdf -m real', place: given }: Wish = {}) {
  const place = given ?? (await moneyPlace({ 'a.pdf': letter }));
  const child = spawn('bash', ['-c', `${before}"${process.execPath}" "${TOOL}" ${line}; exit $?`], {
    cols: 80,
    rows: 24,
    cwd: place.cwd,
    env: {
      PATH: process.env.PATH,
      HOME: place.home,
      TVDB_HOME: `${place.home}/data/tvdb`,
      LANG: 'C.UTF-8',
      TERM: 'xterm-256color',
      NO_COLOR: '1',
      LLAMA_CLOUD_BASE_URL: place.simulator.llamaUrl,
      OPENAI_BASE_URL: place.simulator.openaiUrl,
      LLAMAPARSE_API_KEY: 'llx-simulated',
      OPENAI_API_KEY: 'sk-simulated',
      COST_AUTO_APPROVE_USD: '0.001',
      POLL_FIRST: '20ms',
    },
  });
  let text = '';
  let answered = false;
  child.onData((data) => {
    text += data;
    if (answered || !text.includes('(y/N)')) return;
    answered = true;
    child.write(answer);
  });
  const code = await new Promise<number>((done) => child.onExit(({ exitCode }) => done(exitCode)));
  return { ...place, code, text: stripVTControlCharacters(text).replace(/\s+/g, ' '), asked: answered };
}

interface Wish {
  before?: string;
  line?: string;
  place?: Awaited<ReturnType<typeof moneyPlace>>;
}

/** A document that both mocks made for want of keys, which are there now. */
async function fallen() {
  const place = await moneyPlace({ 'a.pdf': letter });
  const env = { LLAMAPARSE_API_KEY: undefined, OPENAI_API_KEY: undefined };
  await place.json(['upload', 'a.pdf', '-m', 'hybrid'], { env });
  return place;
}

describe('a paid upload above the threshold on a terminal', () => {
  it.each([
    ['Enter', '\r', 5],
    ['no', 'n\r', 5],
    ['Ctrl-C', '\x03', 130],
  ])('%s spends nothing and makes no job', async (_title, answer, expected) => {
    const { code, text, simulator, rows, asked: wasAsked } = await asked(answer);
    expect([code, wasAsked]).toEqual([expected, true]);
    expect(text).toMatch(
      /at most \$0\.00\d\d Budget today \$0\.0000 of \$5\.0000 left \$5\.0000 fits \? Spend up to \$0\.00\d\d on real APIs\? \(y\/N\)/,
    );
    expect(simulator.log()).toEqual([]);
    expect(await rows('upload_jobs')).toEqual([]);
  });

  it('y goes on, and the end says what it cost and what is left', async () => {
    const { code, text, simulator } = await asked('y\r');
    expect(code).toBe(0);
    expect(text).toMatch(/cost \$0\.0038 actual, \$0\.0038 estimated/);
    expect(text).toMatch(/budget today \$0\.0038 of \$5\.0000 left \$4\.9962/);
    expect(simulator.bill().jobs).toHaveLength(1);
  });

  it('`yes |` approves nothing, also where everything else is a terminal', async () => {
    const { code, simulator, asked: wasAsked } = await asked('', { before: 'yes | ' });
    expect([code, wasAsked]).toEqual([5, false]);
    expect(simulator.log()).toEqual([]);
  });
});

describe('tvdb retry --fallbacks above the threshold on a terminal', () => {
  it.each([
    ['Enter', '\r', 5],
    ['no', 'n\r', 5],
    ['Ctrl-C', '\x03', 130],
  ])('after %s nothing is sent and no job is made', async (_title, answer, expected) => {
    const {
      code,
      text,
      simulator,
      rows,
      asked: wasAsked,
    } = await asked(answer, { line: RETRY, place: await fallen() });
    expect([code, wasAsked]).toEqual([expected, true]);
    expect(text).toMatch(
      /Redo 1 document for real .{8} a\.pdf parse and embed Cost LlamaParse est \$0\.0038 OpenAI est \$0\.0001 at most \$0\.00\d\d Budget today \$0\.0000 of \$5\.0000 left \$5\.0000 fits \? Spend up to \$0\.00\d\d on real APIs\? \(y\/N\)/,
    );
    expect([simulator.log(), (await rows('upload_jobs')).length]).toEqual([[], 1]);
  });

  it('is asked one question, and after y redoes the document and says what is left', async () => {
    const { code, text, simulator } = await asked('y\r', { line: RETRY, place: await fallen() });
    expect([code, [...text.matchAll(/Redo 1 document with the real services\?/g)]]).toEqual([0, []]);
    expect(text).toMatch(
      /complete: parse and embed, in place of .* budget today \$0\.0038 of \$5\.0000 left \$4\.9962/,
    );
    expect(simulator.bill().jobs).toHaveLength(1);
  });

  it('has no ear for `yes |`', async () => {
    const {
      code,
      simulator,
      asked: wasAsked,
    } = await asked('', { before: 'yes | ', line: RETRY, place: await fallen() });
    expect([code, wasAsked, simulator.log()]).toEqual([5, false, []]);
  });
});
