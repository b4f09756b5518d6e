/** JSON that may be looked at on a terminal: the same values, with everything a terminal obeys or hides as an escape. */

/** DEL, the C1 controls, characters that reorder or have no width, and the two line ends of Unicode: JSON leaves them raw. */
const UNSAFE = /[\x7f-\x9f\p{Cf}\u2028\u2029]/gu;
/** Most lines have none of them, and this is the quicker question. */
const NOT_PLAIN = /[^\0-\x7e]/;

/** `JSON.stringify(value, null, indent)` without any character of the above; it parses to the same value. */
export function jsonText(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, null, indent);
  return NOT_PLAIN.test(text) ? text.replace(UNSAFE, escaped) : text;
}

/** `\uXXXX` for each UTF-16 unit; characters beyond U+FFFF have two. */
function escaped(char: string): string {
  return Array.from({ length: char.length }, (_, at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, '0')}`).join(
    '',
  );
}
