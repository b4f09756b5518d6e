/** Writes command lines back so that they can be pasted. */

/** Arguments joined and quoted for a POSIX shell. */
export function commandLine(args: readonly string[]): string {
  return ['tvdb', ...args]
    .map((arg) => (/^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", `'\\''`)}'`))
    .join(' ');
}

/** The same arguments with one word put right, also inside `--flag=word`. */
export function corrected(argv: readonly string[], wrong: string, right: string): string {
  return commandLine(
    argv.map((arg) => {
      if (arg === wrong) return right;
      if (arg.endsWith(`=${wrong}`)) return `${arg.slice(0, -wrong.length)}${right}`;
      return arg.startsWith(`${wrong}=`) ? `${right}${arg.slice(wrong.length)}` : arg;
    }),
  );
}

/** `<path>...`, `[topic]`: an argument in a usage line. */
export function argumentForm({
  name,
  optional,
  repeat,
}: {
  name: string;
  optional?: boolean;
  repeat?: boolean;
}): string {
  const dots = repeat === true ? '...' : '';
  return optional === true ? `[${name}${dots}]` : `<${name}${dots}>`;
}

/** `--max-cost` to `maxCost`; `no-wait` to `wait`, as the handler reads it. */
export function optionKey(name: string): string {
  return camelCase(name.replace(/^no-/, ''));
}

/** `max-cost` to `maxCost`. */
export function camelCase(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_all, letter: string) => letter.toUpperCase());
}
