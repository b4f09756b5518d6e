/** `tvdb doctor`: looks for what is wrong with the installation, the settings and the store. Never spends. */
import { EXIT } from '../../base/error-codes.ts';
import { CHECK_IDS, type CheckId } from '../../pipeline/checks/catalogue.ts';
import type { Examined, ExamineOptions, RepairOutcome } from '../../pipeline/checks/examine.ts';
import { type CommandContext, defineCommand } from '../command.ts';
import { VERSION } from '../version.ts';

export const doctorCommand = defineCommand({
  name: 'doctor',
  summary: 'find out what is wrong, and what to do about it',
  description:
    'Without names: every check but the slow ones. A warning is not a failure. --fix does only local things that can be undone or that ' +
    'nobody needs (rights, abandoned temp files, buffers of ended jobs) and lists them first.',
  args: [
    { name: 'check', summary: 'only these checks; see --list-checks', value: CHECK_IDS, optional: true, repeat: true },
  ],
  options: [
    { name: 'fix', summary: 'mend what can be mended safely', common: true },
    { name: 'list-checks', summary: 'print what is checked, and check nothing' },
    { name: 'offline', summary: 'ask no service' },
    {
      name: 'timeout',
      value: 'duration',
      valueName: 'dur',
      summary: 'limit for each check (default 10s, longer for the store)',
    },
  ],
  examples: [
    ['tvdb doctor', 'look at everything'],
    ['tvdb doctor store content --json', 'two checks, for a script'],
    ['tvdb doctor integrity', 'the thorough look at the store'],
    ['tvdb doctor --fix', 'mend rights and leftovers'],
  ],
  needs: 'config',
  badConfig: 'shown',
  exitCodes: [[0, 'nothing failed; there may be warnings'], [1, 'a check failed'], [2, 'unknown check'], 4],
  json: 'tvdb.doctor/v1',
  ndjson: false,
  async handler({ args, options }, ctx) {
    const { doctorResult, listResult } = await import('./doctor-view.ts');
    if (options.listChecks) return listResult();
    const { examine, mend } = await import('../../pipeline/checks/examine.ts');
    const only = args.check as readonly CheckId[];
    const how = (ids: readonly CheckId[]) => examineOptions(ctx, ids, options.offline, options.timeout);
    const started = ctx.clock.monotonic();
    let found = await examine(how(only));
    let repairs: RepairOutcome[] | null = null;
    if (options.fix) {
      announce(found, ctx);
      repairs = await mend(found, ctx);
      const again = repairs.map(({ id }) => id);
      if (again.length > 0) {
        const after = new Map((await examine(how(again))).map((one) => [one.id, one]));
        found = found.map((one) => after.get(one.id) ?? one);
      }
    }
    const failed = found.some(({ status }) => status === 'fail');
    return doctorResult({
      found,
      repairs,
      ms: ctx.clock.monotonic() - started,
      exitCode: failed ? EXIT.failed : EXIT.ok,
    });
  },
});

function examineOptions(
  ctx: CommandContext,
  only: readonly CheckId[],
  offline: boolean,
  limitMs: number | undefined,
): ExamineOptions {
  const { config, env, cwd, clock, globals, interrupt } = ctx;
  return {
    config,
    env,
    cwd,
    envFile: globals.envFile,
    version: VERSION,
    clock,
    offline,
    only,
    limitMs,
    stopping: interrupt.stopping,
  };
}

/** Says on stderr what is going to be done. */
function announce(found: readonly Examined[], { ui }: CommandContext): void {
  const planned = found.filter(({ repair }) => repair !== undefined);
  ui.note((page) => {
    page.line(planned.length === 0 ? 'Nothing to fix automatically' : 'Fixing:');
    for (const { id, repair } of planned) page.line(`  ${id}: ${repair?.text ?? ''}`);
  });
}
