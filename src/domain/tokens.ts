/** Counts tokens the way the embedding models do (`cl100k_base`), safely for hostile text. */

export interface Tokenizer {
  readonly name: 'cl100k_base';
  /** Tokens of a text. Text that looks like a special token (`<|endoftext|>`) counts as ordinary text. */
  count(text: string): number;
}

/** Byte pair merging is quadratic in the length of one unbroken run: 2 MB of `a` would take hours. */
const RUN_CUT = 1000;
/** The character classes the split pattern of cl100k_base never cuts within (digits are cut at three). */
const ONE_CLASS = /^(?:\p{L}+|\s+|[^\s\p{L}\p{N}]+)$/u;

/**
 * Where to cut text before tokenising it: every thousandth position that lies at least 500 units inside a run of one
 * character class. Ordinary text has none; what stays uncut is shorter than 2,000 units; no cut parts a surrogate pair.
 */
export function runCuts(text: string): number[] {
  const cuts: number[] = [];
  for (let at = RUN_CUT; at + RUN_CUT / 2 <= text.length; at += RUN_CUT) {
    const cut = insidePair(text, at) ? at - 1 : at;
    let from = cut - RUN_CUT / 2;
    if (insidePair(text, from)) from += 1;
    let to = cut + RUN_CUT / 2;
    if (insidePair(text, to)) to -= 1;
    if (ONE_CLASS.test(text.slice(from, to))) cuts.push(cut);
  }
  return cuts;
}

/** Whether `at` lies between the two halves of a surrogate pair. */
export function insidePair(text: string, at: number): boolean {
  if (at <= 0 || at >= text.length) return false;
  const low = text.charCodeAt(at);
  const high = text.charCodeAt(at - 1);
  return low >= 0xdc00 && low <= 0xdfff && high >= 0xd800 && high <= 0xdbff;
}

/**
 * Loads the tokenizer (about 0.2 s and 30 MB, hence on demand). Counts are those of the reference implementation for
 * every text without a run of 1,000 or more characters of one class; such a run is counted in parts, which can differ
 * from the whole by a token or two for each cut.
 */
export async function loadTokenizer(): Promise<Tokenizer> {
  const { countTokens } = await import('gpt-tokenizer/encoding/cl100k_base');
  const options = { disallowedSpecial: new Set<string>() };
  return {
    name: 'cl100k_base',
    count(text) {
      let total = 0;
      let from = 0;
      for (const cut of runCuts(text)) {
        total += countTokens(text.slice(from, cut), options);
        from = cut;
      }
      return total + countTokens(from === 0 ? text : text.slice(from), options);
    },
  };
}
