/** `tvdb completion <shell>` prints a completion script; the hidden `tvdb complete` answers it at every Tab. */
import {
  type CommandDefinition,
  defineCommand,
  type IdSuggestion,
  type OptionSpec,
  type ValueSpec,
} from '../command.ts';
import { GLOBAL_OPTIONS } from '../globals.ts';
import { display } from '../ui/display.ts';

const SHELLS = ['bash', 'zsh', 'fish', 'powershell'] as const;
/** A Tab that takes longer than this feels broken; without ids there are still commands and flags. */
const IDS_WITHIN_MS = 100;

export const completion = defineCommand({
  name: 'completion',
  summary: 'Print a shell completion script',
  description: "The script goes to stdout and nothing else is changed. Load it from your shell's start-up file.",
  args: [{ name: 'shell', summary: 'the shell to complete in', value: SHELLS }],
  options: [],
  examples: [
    ['source <(tvdb completion bash)', 'complete in this bash'],
    ['tvdb completion zsh > ~/.zfunc/_tvdb', 'for zsh, with ~/.zfunc in fpath'],
    ['tvdb completion fish > ~/.config/fish/completions/tvdb.fish', 'for fish'],
  ],
  needs: 'nothing',
  exitCodes: [0, 2],
  json: null,
  ndjson: false,
  async handler({ args: { shell } }) {
    const { script } = await import('@bomb.sh/tab');
    const text = printed(() => script(shell, 'tvdb', 'tvdb'));
    return { data: {}, text: shell === 'bash' ? withoutBashCompletion(text) : text };
  },
});

export const complete = defineCommand({
  name: 'complete',
  summary: 'Answer a completion script',
  args: [{ name: 'words', summary: 'the command line so far', optional: true, repeat: true }],
  options: [],
  examples: [],
  needs: 'config',
  badConfig: 'shown',
  exitCodes: [0],
  json: null,
  ndjson: false,
  hidden: true,
  async handler({ args: { words } }, ctx) {
    const { RootCommand } = await import('@bomb.sh/tab');
    const root = new RootCommand();
    const ids = takesIds(ctx.commands) ? await within(ctx.completeIds(words.at(-1) ?? '')) : [];
    const visible = ctx.commands.filter((command) => !command.hidden);
    addOptions(root, GLOBAL_OPTIONS, ids);
    for (const command of visible) {
      const target = root.command(command.name, command.summary);
      addOptions(
        target,
        command.options.filter(({ hidden }) => !hidden),
        ids,
      );
      addOptions(target, GLOBAL_OPTIONS, ids);
      for (const { name, value, repeat } of command.args) target.argument(name, values(value, ids), repeat === true);
    }
    return { data: {}, text: printed(() => root.parse([...words])) };
  },
});

/** The function of the bash-completion package that the script of the library needs. */
const BASH_WORDS = '_get_comp_words_by_ref';

/**
 * The same words without that package: bash takes `=` and `:` for words of their own, so `--mode=real` is put together
 * again. A blank is missing between words that were separate only if the line, read from the left, has none there.
 */
const BASH_FALLBACK = `
# The words so far into cur, prev, words and cword of the caller, also where the bash-completion package is not loaded.
__tvdb_words() {
    if declare -F ${BASH_WORDS} >/dev/null; then
        ${BASH_WORDS} "$@"
        return
    fi
    local i word line=$COMP_LINE joined=
    words=() cword=0
    for ((i = 0; i < \${#COMP_WORDS[@]}; i++)); do
        word=\${COMP_WORDS[i]}
        if [[ $i -gt 0 && $line != [[:blank:]]* && ( $joined == 1 || $word == [=:]* ) ]]; then
            words[\${#words[@]}-1]+=$word
        else
            words+=("$word")
        fi
        joined=
        [[ $word == *[=:] ]] && joined=1
        line=\${line#"\${line%%[![:blank:]]*}"}
        line=\${line#"$word"}
        [[ $i -eq $COMP_CWORD ]] && cword=$((\${#words[@]} - 1))
    done
    cur=\${words[cword]} prev=
    [[ $cword -gt 0 ]] && prev=\${words[cword-1]}
}
`;

function withoutBashCompletion(script: string): string {
  // Read-only variables would make loading it a second time fail.
  return `${script.replace(BASH_WORDS, '__tvdb_words').replaceAll(/^readonly /gm, '')}${BASH_FALLBACK}`;
}

type Completer = (give: (value: string, description: string) => void) => void;

interface Target {
  option(name: string, description: string, handlerOrAlias?: Completer | string, alias?: string): unknown;
}

function addOptions(target: Target, options: readonly OptionSpec[], ids: readonly IdSuggestion[]): void {
  for (const { name, summary, value, short } of options) {
    // A flag with a value needs a completer, if only an empty one, or its value is taken for an argument.
    if (value === undefined) target.option(name, summary, short);
    else target.option(name, summary, values(value, ids) ?? (() => {}), short);
  }
}

/** What can stand in a place; `undefined` leaves it to the shell (file names). */
function values(value: ValueSpec | undefined, ids: readonly IdSuggestion[]): Completer | undefined {
  const list = value === 'id' ? ids : choices(value);
  if (list === undefined) return undefined;
  return (give) => {
    // A line break in the name of a file would begin another suggestion, and bash expands what is suggested.
    for (const one of list) give(one.value, display(one.description));
  };
}

function choices(value: ValueSpec | undefined): IdSuggestion[] | undefined {
  if (value === undefined || typeof value === 'string') return undefined;
  return value.map((choice) => ({ value: choice, description: '' }));
}

function takesIds(commands: readonly CommandDefinition[]): boolean {
  return commands.some(({ args, options }) => [...args, ...options].some(({ value }) => value === 'id'));
}

/** Ids if they come in time; completion never waits for a busy store and never fails over one. */
async function within(ids: Promise<readonly IdSuggestion[]>): Promise<readonly IdSuggestion[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<readonly IdSuggestion[]>((resolve) => {
    timer = setTimeout(() => resolve([]), IDS_WITHIN_MS);
  });
  try {
    return await Promise.race([ids, late]);
  } catch {
    return [];
  } finally {
    clearTimeout(timer);
  }
}

/** What a synchronous call prints: the library only knows `console.log`, and only the screen may write to stdout. */
function printed(call: () => void): string {
  const { log } = console;
  const lines: string[] = [];
  console.log = (line: unknown) => void lines.push(String(line));
  try {
    call();
  } finally {
    console.log = log;
  }
  return lines.join('\n');
}
