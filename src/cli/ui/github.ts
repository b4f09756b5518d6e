/** Annotations of GitHub Actions: workflow commands on stderr, which the runner reads as well, so that `--json` stays clean. */

/** The runner shows only ten of a kind for one step: nine, and one that counts the rest. */
const SHOWN = 9;

/** An error as the runner shows it. */
export interface Annotation {
  readonly title: string;
  readonly message: string;
}

/** A notice is something to know that is no fault. */
const KINDS = ['error', 'warning', 'notice'] as const;
export type AnnotationKind = (typeof KINDS)[number];

export interface Annotations {
  /** The command line of one annotation, or an empty text once enough were printed. */
  add(kind: AnnotationKind, title: string, message: string): string;
  /** What was left out, at the end of the run. */
  rest(): string;
}

/** A counter of annotations for one process. */
export function annotations(): Annotations {
  const counts = { error: 0, warning: 0, notice: 0 };
  return {
    add(kind, title, message) {
      counts[kind] += 1;
      return counts[kind] > SHOWN ? '' : `::${kind} title=${property(title)}::${data(message)}\n`;
    },
    rest() {
      return KINDS.filter((kind) => counts[kind] > SHOWN)
        .map((kind) => `::${kind}::and ${counts[kind] - SHOWN} more\n`)
        .join('');
    },
  };
}

function data(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function property(text: string): string {
  return data(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}
