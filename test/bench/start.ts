/** Start-up: `tvdb --help` and `tvdb status`, against a bare node that does nothing. */
import { join } from 'node:path';
import { type Bench, median, ms, ratioLine, timeProcess } from './figures.ts';

const ROUNDS = 15;

export async function measure({ root, directory }: Bench): Promise<string[]> {
  const binary = join(root, 'bin', 'tvdb.js');
  timeProcess([binary, 'upload', join(root, 'fixtures/documents/letter.pdf')], directory);
  const runs = {
    node: ['-e', '0'],
    help: [binary, '--help'],
    version: [binary, '--version'],
    status: [binary, 'status'],
    costs: [binary, 'costs', '--today'],
  };
  const times = new Map<string, number[]>(Object.keys(runs).map((name) => [name, []]));
  // In turn, so that a drifting machine drifts for all of them alike.
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, args] of Object.entries(runs)) {
      const taken = timeProcess(args, directory);
      if (round > 0) times.get(name)?.push(taken);
    }
  }
  const of = (name: string) => median(times.get(name) ?? []);
  const line = (name: string, aim: number) =>
    ratioLine(`tvdb ${name} : node`, of(name) / of('node'), aim, `${ms(of(name))} : ${ms(of('node'))}`);
  return [line('help', 1.5), line('version', 1.5), line('status', 3), line('costs', 3)];
}
