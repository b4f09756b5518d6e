/** Counts cl100k_base tokens; loaded on first use (0.2 s, 30 MB). */

/** Byte pair merging is quadratic in one unbroken run, so runs longer than this are counted in parts. */
const RUN = /\p{L}{1000}|\s{1000}|[^\s\p{L}\p{N}]{1000}/gu;

/** A function that counts the tokens of a text; text that looks like a special token counts as ordinary text. */
export async function loadTokenCounter(): Promise<(text: string) => number> {
  const { countTokens } = await import('gpt-tokenizer/encoding/cl100k_base');
  const options = { disallowedSpecial: new Set<string>() };
  return (text) => {
    let total = 0;
    let from = 0;
    for (const match of text.matchAll(RUN)) {
      const to = match.index + match[0].length;
      total += countTokens(text.slice(from, to), options);
      from = to;
    }
    return total + countTokens(text.slice(from), options);
  };
}
