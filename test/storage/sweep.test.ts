import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openStorage } from '../../src/storage/local.ts';
import { isLeftOver, tempName, tempOwner } from '../../src/storage/temp-name.ts';
import { thisProcess } from '../../src/store/workers.ts';
import { tempDirectory } from '../setup/temp.ts';

const id = 'bbbbbbbb-0000-4000-8000-000000000001';
const here = { host: 'here', boot_id: 'boot', pid: 41, pid_started: '7000' };
const alive = ({ pid, pid_started }: { pid: number; pid_started: string }) => pid === 41 && pid_started === '7000';

/** A storage of process 41, and the temp files of other processes in it. */
async function setup(...others: (typeof here)[]) {
  const home = tempDirectory();
  const storage = openStorage(home, here);
  const names: string[] = [];
  for (const owner of [here, ...others]) {
    const { path, handle } = await openStorage(home, owner).openIncoming(id);
    await handle.close();
    names.push(path);
  }
  return { home, storage, names, left: () => readdirSync(join(home, 'storage', 'incoming')).sort() };
}

describe('a sweep of the temp files', () => {
  it('T01 removes those of dead processes at once, whatever their age, and no others', async () => {
    const dead = { ...here, pid: 40 };
    const reused = { ...here, pid_started: '6999' };
    const rebooted = { ...here, boot_id: 'earlier' };
    const away = { ...here, host: 'there', pid: 40 };
    const { home, storage, names, left } = await setup(dead, reused, rebooted, away);
    writeFileSync(join(home, 'storage', 'incoming', id), 'of an earlier version');
    const swept = await storage.sweepIncoming(alive);
    expect(swept.sort()).toEqual(names.slice(1, 4).sort());
    expect(left().map((name) => join(home, 'storage', 'incoming', name))).toEqual(
      [names[0], names[4], join(home, 'storage', 'incoming', id)].sort(),
    );
    expect(await storage.sweepIncoming(alive)).toEqual([]);
  });

  it('asks about no process whose id means another one here', async () => {
    const { storage } = await setup({ ...here, host: 'there' }, { ...here, boot_id: 'earlier' });
    const asked: number[] = [];
    await storage.sweepIncoming(({ pid }) => {
      asked.push(pid);
      return true;
    });
    expect(asked).toEqual([41]);
  });

  it('does nothing without an owner, before there is a storage, and behind a link', async () => {
    const { home, left } = await setup({ ...here, pid: 40 });
    expect(await openStorage(home).sweepIncoming(() => false)).toEqual([]);
    expect(left()).toHaveLength(2);
    expect(await openStorage(tempDirectory(), here).sweepIncoming(() => false)).toEqual([]);
    const linked = tempDirectory();
    mkdirSync(join(linked, 'storage'));
    symlinkSync(join(home, 'storage', 'incoming'), join(linked, 'storage', 'incoming'));
    await expect(openStorage(linked, here).sweepIncoming(() => false)).rejects.toMatchObject({ code: 'E104' });
    expect(left()).toHaveLength(2);
  });

  it('knows real processes by what the store says of them', async () => {
    const child = spawn(process.execPath, ['-e', ''], { stdio: 'ignore' });
    const gone = { ...thisProcess(), pid: child.pid ?? 0 };
    await once(child, 'close');
    const home = tempDirectory();
    for (const owner of [gone, thisProcess()]) await (await openStorage(home, owner).openIncoming(id)).handle.close();
    const runs = ({ pid }: { pid: number }) => pid === process.pid;
    const swept = await openStorage(home, thisProcess()).sweepIncoming(runs);
    expect(swept).toEqual([expect.stringContaining(`-${gone.pid}-`)]);
  });
});

describe('the name of a temp file', () => {
  const word = fc.string({ unit: 'binary', maxLength: 20 });
  const identity = fc.record({
    host: word,
    boot_id: word,
    pid: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
    pid_started: fc.oneof(fc.constant(''), fc.bigInt(0n, 2n ** 64n - 1n).map(String)),
  });

  it('is one plain file name that tells its process apart from any other', () => {
    fc.assert(
      fc.property(identity, fc.uuid(), (process, name) => {
        const me = tempOwner(process);
        const file = tempName(me, name);
        expect(file).toMatch(/^[0-9a-f-]{1,120}$/);
        expect(isLeftOver(file, me, () => true)).toBe(false);
        let asked: unknown;
        const judged = isLeftOver(file, me, (owner) => {
          asked = owner;
          return false;
        });
        expect([judged, asked]).toEqual([true, me]);
      }),
    );
  });

  it('carries no process when it is a bare id or anything else', () => {
    const me = tempOwner(here);
    fc.assert(
      fc.property(fc.oneof(fc.uuid(), fc.string({ unit: 'binary' })), (name) => {
        expect(isLeftOver(name, me, () => false)).toBe(false);
      }),
    );
    for (const name of [`${me.place}-${me.boot}-0-1-x`, `${me.place}-${me.boot}-41-1`, ` ${tempName(me, id)}`]) {
      expect(isLeftOver(name, me, () => false)).toBe(false);
    }
  });
});
