/** `tvdb version`: what `--version` prints, with a JSON form for `--version --json`. */
import { defineCommand } from '../command.ts';
import { VERSION } from '../version.ts';

export const versionCommand = defineCommand({
  name: 'version',
  summary: 'print the version',
  args: [],
  options: [],
  examples: [['tvdb --version --json', 'for a script']],
  needs: 'nothing',
  exitCodes: [0, 2],
  json: 'tvdb.version/v1',
  ndjson: false,
  hidden: true,
  async handler() {
    return { data: { version: VERSION }, text: VERSION };
  },
});
