import { writeFileSync } from 'node:fs';
import { it } from 'vitest';
import { COMMANDS } from '../../src/cli/commands/index.ts';
import { allSituations } from './json-situations.ts';
it('dump', async () => {
  const t = Date.now();
  const all = await allSituations(COMMANDS.map((c) => c.name));
  writeFileSync('/tmp/jd/all.json', JSON.stringify(all, null, 1));
  console.log(all.length, Date.now() - t);
}, 40000);
