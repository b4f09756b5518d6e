/** Asks a person, on stderr. Only called after the interactivity gate; inquirer itself would read a piped `y` as consent. */
import { TvdbError } from '../../base/errors.ts';

export interface Terminal {
  readonly stdin: NodeJS.ReadableStream;
  readonly stderr: NodeJS.WritableStream;
}

/** inquirer decides about colour for itself; where it is off, every style it has becomes plain text. */
const PLAIN_THEME = {
  prefix: { idle: '?', done: '?' },
  style: {
    answer: asIs,
    message: asIs,
    defaultAnswer: (text: string) => `(${text})`,
    help: asIs,
    highlight: asIs,
    error: asIs,
    key: asIs,
  },
};

function asIs(text: string): string {
  return text;
}

/** Yes or no, default no. Ctrl-C and end of input, which inquirer does not tell apart, are both an interruption (E012). */
export async function askYesNo(
  question: string,
  terminal: Terminal,
  color: boolean,
  signal: AbortSignal,
): Promise<boolean> {
  const { confirm } = await import('@inquirer/prompts');
  try {
    return await confirm(
      { message: question, default: false, ...(!color && { theme: PLAIN_THEME }) },
      { input: terminal.stdin, output: terminal.stderr, signal },
    );
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (error instanceof Error && error.name === 'ExitPromptError') {
      throw new TvdbError('E012', {
        message: 'Nothing was done: the question was not answered',
        fix: '',
        cause: error,
      });
    }
    throw error;
  }
}

/** The refusal where nobody can be asked. */
export function cannotAsk(question: string, flag: string, why: string | undefined): TvdbError {
  return new TvdbError('E011', {
    message: `This needs a yes and this session cannot ask: ${question}`,
    why: why ?? 'standard input or error is not a terminal, or asking is switched off (CI, --no-input, --json)',
    fix: `Add ${flag}.`,
    facts: { flag },
  });
}
