import { readdirSync, statfsSync } from 'node:fs';
import { afterEach, expect, it, vi } from 'vitest';
import { networkFileSystem, openStore } from '../../src/store/open.ts';
import { tempDirectory } from '../setup/temp.ts';

vi.mock('node:fs', async (original) => {
  const real = await original<typeof import('node:fs')>();
  return { ...real, statfsSync: vi.fn(real.statfsSync) };
});

/** Makes every path be on a file system of this kind. */
function mount(type: number): void {
  vi.mocked(statfsSync).mockReturnValue({ type } as ReturnType<typeof statfsSync>);
}

afterEach(() => vi.mocked(statfsSync).mockReset());

// As in linux/magic.h; those of Lustre, GPFS, BeeGFS and the virtual machines are in their own sources.
it.each([
  ['NFS', 0x6969],
  ['SMB', 0x517b],
  ['CIFS', 0xff534d42],
  ['SMB2', 0xfe534d42],
  ['9p', 0x01021997],
  ['Coda', 0x73757245],
  ['AFS', 0x5346414f],
  ['AFS', 0x6b414653],
  ['Ceph', 0x00c36400],
  ['Lustre', 0x0bd00bd0],
  ['GPFS', 0x47504653],
  ['FUSE', 0x65735546],
  ['GFS2', 0x01161970],
  ['OCFS2', 0x7461636f],
  ['BeeGFS', 0x19830326],
  ['VirtualBox', 0x786f4256],
  ['VMware', 0xbacbacbc],
])('T27 refuses a home on %s (%i), says what to do, and makes no store there', (name, type) => {
  const home = tempDirectory();
  mount(type);
  expect(() => openStore({ home })).toThrow(
    expect.objectContaining({
      code: 'E106',
      message: expect.stringContaining(name),
      fix: expect.stringContaining('TVDB_HOME'),
    }),
  );
  expect(readdirSync(home)).toEqual([]);
});

it.each([
  ['ext4', 0xef53],
  ['XFS', 0x58465342],
  ['Btrfs', 0x9123683e],
  ['tmpfs', 0x01021994],
  ['overlay', 0x794c7630],
  ['ZFS', 0x2fc12fc1],
])('T27 takes %s for local', (_name, type) => {
  mount(type);
  expect(networkFileSystem('/anywhere')).toBeUndefined();
});
