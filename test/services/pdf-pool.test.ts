import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { makePages } from '../../fixtures/mutate.mjs';
import { spawnChild } from '../../src/services/pdf/spawn.ts';
import {
  CHILD,
  codeOf,
  isRunning,
  manualClock,
  misbehavingChild,
  never,
  pool,
  stored,
  tempDir,
} from './pdf-harness.ts';

const ANSWER = { pages: 7, encrypted: false };

const until = <T>(condition: () => T) => vi.waitUntil(condition, { timeout: 20_000, interval: 10 });
const begun = (child: ReturnType<typeof misbehavingChild>, count: number) => until(() => child.begun().length >= count);

describe('a pool of PDF children', () => {
  it('uses one child for task after task', async () => {
    const child = misbehavingChild();
    const one = pool({ entry: child.entry });
    for (const name of ['a', 'b', 'c']) expect(await one.inspect(name, never)).toEqual(ANSWER);
    expect(new Set(child.begun().map(({ pid }) => pid)).size).toBe(1);
  });

  it('replaces a child that has grown', async () => {
    const child = misbehavingChild();
    const one = pool({ entry: child.entry });
    await one.inspect(`fat:${200 * 1024 * 1024}`, never);
    await one.inspect('next', never);
    const [first, second] = child.begun();
    expect(first?.pid).not.toBe(second?.pid);
    await until(() => !isRunning(first?.pid ?? 0));
  });

  it('works on as many documents at once as it has places, counting pages first', async () => {
    const child = misbehavingChild();
    const two = pool({ entry: child.entry, size: 2 });
    const stop = new AbortController();
    const stuck = ['hang:1', 'hang:2'].map((name) =>
      two.extract(name, 1, stop.signal).catch((reason: unknown) => reason),
    );
    await begun(child, 2);
    const later = [two.extract('extract', 1, never), two.inspect('count', never)];
    stop.abort('enough');
    await Promise.all(later);
    expect(await Promise.all(stuck)).toEqual(['enough', 'enough']);
    const order = child.begun().slice(2);
    expect(order.map(({ kind }) => kind).sort()).toEqual(['extract', 'inspect']);
  });

  it('counts pages before it extracts when both wait for the same place', async () => {
    const child = misbehavingChild();
    const one = pool({ entry: child.entry });
    const stop = new AbortController();
    const stuck = codeOf(one.extract('hang', 1, stop.signal)).catch((reason: unknown) => reason);
    await begun(child, 1);
    const later = [one.extract('extract', 1, never), one.inspect('count', never)];
    stop.abort('enough');
    await Promise.all([...later, stuck]);
    expect(child.begun().map(({ path }) => path)).toEqual(['hang', 'count', 'extract']);
  });

  it('T82: survives one crash of a child without anybody noticing', async () => {
    const child = misbehavingChild();
    expect(await pool({ entry: child.entry }).inspect('die-once:SIGKILL', never)).toEqual(ANSWER);
    expect(child.begun()).toHaveLength(2);
  });

  it.each([
    ['SIGSEGV', 'E405'],
    ['SIGABRT', 'E414'],
    ['SIGKILL', 'E414'],
    ['SIGXCPU', 'E414'],
  ])('T82: refuses the document that ends two children with %s, and goes on with others', async (signal, code) => {
    const child = misbehavingChild();
    const one = pool({ entry: child.entry });
    const [refused, accepted] = [codeOf(one.inspect(`die:${signal}`, never)), one.inspect('next', never)];
    expect(await refused).toBe(code);
    expect(await accepted).toEqual(ANSWER);
    expect(child.begun()).toHaveLength(3);
  });

  it('T82: says which limit ended two children', async () => {
    const one = pool({ entry: misbehavingChild().entry });
    await expect(one.inspect('die:SIGXCPU', never)).rejects.toMatchObject({ facts: { limit: 'time' } });
    await expect(one.inspect('die:SIGKILL', never)).rejects.toMatchObject({ facts: { limit: 'memory' } });
  });

  it('T82: refuses the document on which two children exit', async () => {
    expect(await codeOf(pool({ entry: misbehavingChild().entry }).inspect('exit', never))).toBe('E405');
  });

  it.runIf(process.platform === 'linux')(
    'T82: a real child killed in the middle of a document is replaced and the result is whole',
    async () => {
      const path = stored(makePages(400, 5));
      const extraction = pool().extract(path, 400, never);
      // With 70 MB resident it has the document and the reader in memory.
      const victim = await until(() => childrenOf(process.pid).find((pid) => residentMb(pid) > 70));
      process.kill(victim ?? 0, 'SIGKILL');
      expect(await extraction).toHaveLength(400);
      await until(() => !isRunning(victim ?? 0));
    },
  );

  it('kills a child at its time limit and says so', async () => {
    const child = misbehavingChild();
    const clock = manualClock();
    const one = pool({ entry: child.entry, clock, inspectMs: 8_000 });
    const refused = one.inspect('hang', never).catch((reason: unknown) => reason);
    await begun(child, 1);
    clock.advance(7_999);
    expect(isRunning(child.begun()[0]?.pid ?? 0)).toBe(true);
    clock.advance(1);
    expect(await refused).toMatchObject({ code: 'E414', facts: { limit: 'time', seconds: 8 } });
    await until(() => !isRunning(child.begun()[0]?.pid ?? 0));
    expect(await one.inspect('next', never)).toEqual(ANSWER);
  });

  it.runIf(process.platform === 'linux')('kills a child at its memory limit and says so', async () => {
    const refused = pool({ entry: misbehavingChild().entry, memoryMb: 150 }).inspect('grow:200', never);
    await expect(refused).rejects.toMatchObject({ code: 'E414', facts: { limit: 'memory', memory_mb: 150 } });
  });

  it.runIf(process.platform === 'linux')('stops one huge allocation even when nobody looks', async () => {
    const child = misbehavingChild();
    // The clock never moves, so neither the watch nor the time limit can act: the kernel must.
    const refused = pool({ entry: child.entry, memoryMb: 150, clock: manualClock() }).inspect('grow:600', never);
    expect(await codeOf(refused)).toMatch(/^E4(05|14)$/);
  });

  it('blames the machine and not the document when a child cannot be started', async () => {
    expect(await codeOf(pool({ entry: join(tempDir(), 'missing.mjs') }).inspect('x', never))).toBe('E303');
  });

  it('rejects a waiting task when its signal aborts, and one that was aborted before', async () => {
    const child = misbehavingChild();
    const one = pool({ entry: child.entry });
    const stop = new AbortController();
    const busy = one.inspect('hang', stop.signal).catch((reason: unknown) => reason);
    const impatient = new AbortController();
    const waiting = one.inspect('next', impatient.signal).catch((reason: unknown) => reason);
    await begun(child, 1);
    impatient.abort('no time');
    expect(await waiting).toBe('no time');
    await expect(one.inspect('x', AbortSignal.abort('too late'))).rejects.toBe('too late');
    stop.abort('stopped');
    expect(await busy).toBe('stopped');
    await until(() => !isRunning(child.begun()[0]?.pid ?? 0));
    expect(child.begun()).toHaveLength(1);
  });

  it('rejects all tasks and leaves no process when it is closed', async () => {
    const child = misbehavingChild();
    const two = pool({ entry: child.entry, size: 2 });
    const tasks = ['hang:1', 'hang:2', 'waiting'].map((name) => codeOf(two.inspect(name, never)));
    await begun(child, 2);
    await two.close();
    expect(await Promise.all(tasks)).toEqual(['E303', 'E303', 'E303']);
    for (const { pid } of child.begun()) expect(isRunning(pid)).toBe(false);
    expect(await codeOf(two.inspect('next', never))).toBe('E303');
  });

  it('gives a child no variable of its parent that could hold a secret', async () => {
    vi.stubEnv('OPENAI_API_KEY', 'sk-not-for-children');
    vi.stubEnv('NODE_OPTIONS', '');
    const answer = await pool({ entry: misbehavingChild().entry }).inspect('environment', never);
    vi.unstubAllEnvs();
    const allowed = /^(PATH|TZ|LANG|SystemRoot|NODE_CHANNEL_\w+|PWD|OLDPWD|SHLVL|_)$/;
    const environment = 'environment' in answer ? Object(answer.environment) : undefined;
    expect(Object.keys(environment).filter((name) => !allowed.test(name))).toEqual([]);
    expect(environment).toHaveProperty('PATH');
  });

  it('keeps its parent alive while it works or is being closed, and not while it is idle', async () => {
    const child = misbehavingChild();
    const one = pool({ entry: child.entry });
    const processes = () => process.getActiveResourcesInfo().filter((name) => name === 'ProcessWrap').length;
    await until(() => processes() === 0);
    const stop = new AbortController();
    const busy = one.inspect('hang', stop.signal).catch((reason: unknown) => reason);
    await begun(child, 1);
    expect(processes()).toBe(1);
    stop.abort();
    await busy;
    await one.inspect('next', never);
    expect(processes()).toBe(0);
    const closed = one.close();
    expect(processes()).toBe(1);
    await closed;
    await until(() => processes() === 0);
  });
});

describe.runIf(process.platform === 'linux')('a PDF child', () => {
  it('ends after a short time without work', async () => {
    const path = stored(makePages(1, 1));
    const one = pool({ idleMs: 20 });
    await one.inspect(path, never);
    await until(() => childrenOf(process.pid).length === 0);
    expect(await one.inspect(path, never)).toMatchObject({ pages: 1 });
  });

  it.each(['idle', 'busy'])('T82: is gone after its parent is killed while it is %s', async (state) => {
    const dir = tempDir();
    const path = stored(makePages(3_000, 2));
    const parent = join(dir, 'parent.mjs');
    writeFileSync(
      parent,
      `import { spawn } from 'node:child_process';
       const child = spawn(process.execPath, [${JSON.stringify(CHILD)}, '600000'], {
         stdio: ['ignore', 'ignore', 'ignore', 'ipc'], serialization: 'advanced' });
       child.on('message', ({ type }) => {
         if (type !== 'ready') return;
         const task = { kind: 'extract', path: ${JSON.stringify(path)}, pages: 3000 };
         if (${JSON.stringify(state)} === 'busy') child.send({ id: 1, task });
         console.log(String(child.pid));
       });`,
    );
    const process_ = spawn(process.execPath, [parent], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = await once(process_.stdout, 'data');
    const pid = Number(String(line));
    expect(isRunning(pid)).toBe(true);
    process_.kill('SIGKILL');
    await until(() => !isRunning(pid));
  });

  it('is told by the kernel when its seconds of CPU are used up', async () => {
    const entry = join(tempDir(), 'spin.mjs');
    writeFileSync(entry, 'for (;;);');
    const child = spawnChild(entry, { memoryMb: 400, cpuSeconds: 1, idleMs: 60_000 });
    expect(await once(child, 'exit')).toEqual([null, 'SIGXCPU']);
  });

  it('runs under limits that the kernel enforces', async () => {
    const one = pool({ memoryMb: 300, inspectMs: 10_000, extractMs: 30_000 });
    await one.inspect(stored(makePages(1, 1)), never);
    const limits = readFileSync(`/proc/${childrenOf(process.pid)[0]}/limits`, 'latin1');
    expect(limits).toMatch(/^Max core file size +0 +0/m);
    // The soft limit is the lower one: where both are the same, the kernel gives no reason.
    expect(limits).toMatch(/^Max cpu time +120 +125/m);
    const mapped = Number.parseInt(process.versions.node, 10) >= 24 ? 160 + 512 : 160;
    expect(limits).toMatch(new RegExp(`^Max data size +${(300 + mapped) * 1024 * 1024} `, 'm'));
  });
});

/** Direct children of a process, by its kernel record. */
function childrenOf(pid: number): number[] {
  const listed = execFileSync('sh', ['-c', `cat /proc/${pid}/task/*/children`], { encoding: 'latin1' });
  return listed
    .split(/\s+/)
    .filter((text) => text !== '')
    .map(Number)
    .filter(isRunning);
}

/** Resident memory of a process in MiB; 0 when it is gone. */
function residentMb(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}
