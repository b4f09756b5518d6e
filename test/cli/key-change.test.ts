import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { sha256 } from '../../src/base/hash.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';
import { openStore } from '../../src/store/open.ts';
import { letter, workplace } from './workplace.ts';

const OLD = { LLAMAPARSE_API_KEY: 'llx-of-last-year', OPENAI_API_KEY: 'sk-of-last-year' };
const NEW = { LLAMAPARSE_API_KEY_SECONDARY: 'llx-of-this-year', OPENAI_API_KEY_SECONDARY: 'sk-of-this-year' };

/** Services that take the new keys alone, and the settings to reach them. */
async function services() {
  const simulator = await startSimulator({ clock: systemClock, keys: { refused: Object.values(OLD) } });
  const { llamaUrl, openaiUrl } = simulator;
  return {
    simulator,
    env: { LLAMA_CLOUD_BASE_URL: llamaUrl, OPENAI_BASE_URL: openaiUrl, POLL_FIRST: '1ms', EMBED_LINGER: '0ms' },
  };
}

describe('a change of keys', () => {
  it('is made when the first key is refused, costs nothing twice, and is said, kept and counted', async () => {
    const { simulator, env } = await services();
    try {
      const { json, home } = workplace({ 'letter.pdf': letter });
      const answer = await json(['upload', 'letter.pdf', '--mode', 'real'], { env: { ...env, ...OLD, ...NEW } });
      expect([answer.ok, answer.data.documents[0].status]).toEqual([true, 'complete']);
      const said = (variable: keyof typeof NEW) =>
        expect.stringContaining(`${variable} (fingerprint ${sha256(NEW[variable]).slice(0, 8)}) is used`);
      expect(answer.warnings).toEqual([
        { code: 'TVDB-W112', message: said('LLAMAPARSE_API_KEY_SECONDARY') },
        { code: 'TVDB-W112', message: said('OPENAI_API_KEY_SECONDARY') },
      ]);
      const store = openStore({ home: join(home, 'data/tvdb') });
      try {
        const rows = await store.db.selectFrom('key_audit').select(['service', 'event']).execute();
        const events = (service: string) => rows.filter((row) => row.service === service).map(({ event }) => event);
        const all = ['first_use', 'refused', 'switched', 'first_use'].sort();
        expect([events('llamaparse').sort(), events('openai').sort()]).toEqual([all, all]);
      } finally {
        await store.close();
      }
      // Each was refused once: the ring never goes back.
      const refused = simulator.log().filter(({ status }) => status === 401);
      expect(refused.map(({ service }) => service)).toEqual(['llama', 'openai']);
      expect(simulator.log().filter(({ accepted, path }) => accepted && path.startsWith('/api/v2/parse'))).toHaveLength(
        1,
      );
    } finally {
      await simulator.close();
    }
  });

  it('is said by `health --check`, and by `search`', async () => {
    const { simulator, env } = await services();
    try {
      const { tvdb } = workplace({ 'letter.pdf': letter });
      const keys = { ...env, ...OLD, ...NEW, SERVICE_MODE: 'real' };
      await tvdb(['upload', 'letter.pdf'], { env: keys });
      for (const argv of [
        ['health', '--check'],
        ['search', 'letter'],
      ]) {
        const { code, stderr } = await tvdb(argv, { env: keys });
        expect([argv, code, stderr]).toEqual([argv, 0, expect.stringContaining('TVDB-W112')]);
      }
    } finally {
      await simulator.close();
    }
  });

  it('is not made without a second key', async () => {
    const { simulator, env } = await services();
    try {
      const { json } = workplace({ 'letter.pdf': letter });
      const answer = await json(['upload', 'letter.pdf', '--mode', 'real'], { env: { ...env, ...OLD } });
      expect(answer.warnings.filter(({ code }: { code: string }) => code === 'TVDB-W112')).toEqual([]);
      expect(JSON.stringify(answer)).toContain('TVDB-E112');
    } finally {
      await simulator.close();
    }
  });
});
