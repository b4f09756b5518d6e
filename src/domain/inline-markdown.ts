/** Inline markdown of one line: images become `![img]`, links keep their text, runs of spaces become one. */

/** Parentheses in a link target nest at most this deep (CommonMark's own limit); keeps the scan linear. */
const MAX_PARENTHESES = 32;

/**
 * Rewrites one line; code spans stay as they are. Only inline links and images count (`[text](target "title")`): for a
 * reference (`[1][2]`) the definition would be needed, and citations look the same. Linear in the length of the line.
 * One pass can uncover another link (`![a](b)(c)`); the caller repeats until nothing changes.
 */
export function tidyInline(line: string): string {
  if (!line.includes('](')) return line.includes('`') ? tidySpaces(line) : collapse(line);
  const spanEnd = codeSpanFinder(line);
  const out: string[] = [];
  /** Index in `out` of every bracket still open, and whether it opens an image. */
  const open: { at: number; image: boolean }[] = [];
  const special = /[\\`[\]]/g;
  let from = 0;
  for (let hit = special.exec(line); hit !== null; hit = special.exec(line)) {
    const at = hit.index;
    const image = hit[0] === '[' && at > from && line[at - 1] === '!';
    out.push(collapse(line.slice(from, image ? at - 1 : at)));
    from = at + 1;
    if (hit[0] === '\\') {
      if (/[!-/:-@[-`{-~]/.test(line[at + 1] ?? '')) from += 1;
      out.push(line.slice(at, from));
    } else if (hit[0] === '`') {
      from = spanEnd(at);
      out.push(line.slice(at, from));
    } else if (hit[0] === '[') {
      open.push({ at: out.length, image });
      out.push(image ? '![' : '[');
    } else {
      const opener = open.pop();
      const end = opener === undefined ? -1 : targetEnd(line, from);
      if (opener === undefined || end < 0) {
        out.push(']');
      } else {
        from = end;
        if (opener.image) out.splice(opener.at, out.length, '![img]');
        else out[opener.at] = '';
      }
    }
    special.lastIndex = from;
  }
  out.push(collapse(line.slice(from)));
  return out.join('');
}

function collapse(text: string): string {
  return text.replace(/ {2,}/g, ' ');
}

function tidySpaces(line: string): string {
  const spanEnd = codeSpanFinder(line);
  const out: string[] = [];
  let from = 0;
  for (let at = line.indexOf('`'); at >= 0; at = line.indexOf('`', from)) {
    const escaped = isEscaped(line, at);
    const end = escaped ? at + 1 : spanEnd(at);
    out.push(collapse(line.slice(from, at)), line.slice(at, end));
    from = end;
  }
  out.push(collapse(line.slice(from)));
  return out.join('');
}

function isEscaped(line: string, at: number): boolean {
  let slashes = 0;
  while (line[at - 1 - slashes] === '\\') slashes += 1;
  return slashes % 2 === 1;
}

/**
 * For a run of backticks starting at `at`: the end of the code span it opens, or the end of the run when no later run has
 * its length. Must be asked in ascending order.
 */
function codeSpanFinder(line: string): (at: number) => number {
  const runs = new Map<number, number[]>();
  for (const run of line.matchAll(/`+/g)) {
    const starts = runs.get(run[0].length);
    if (starts === undefined) runs.set(run[0].length, [run.index]);
    else starts.push(run.index);
  }
  const next = new Map<number, number>();
  return (at) => {
    let end = at + 1;
    while (line[end] === '`') end += 1;
    const length = end - at;
    const starts = runs.get(length) ?? [];
    let index = next.get(length) ?? 0;
    while (index < starts.length && (starts[index] ?? 0) < end) index += 1;
    next.set(length, index);
    const close = starts[index];
    return close === undefined ? end : close + length;
  };
}

/** The end of `(target "title")` at `at`, or -1 when there is none. */
function targetEnd(line: string, at: number): number {
  if (line[at] !== '(') return -1;
  let here = skipSpaces(line, at + 1);
  if (line[here] === '<') {
    const close = line.slice(here + 1).search(/[<>]/) + here + 1;
    if (line[close] !== '>' || close === here) return -1;
    here = close + 1;
  } else {
    let depth = 0;
    for (; here < line.length; here += 1) {
      const char = line[here];
      if (char === ' ' || (char === ')' && depth === 0)) break;
      if (char === '\\') here += 1;
      else if (char === '(') depth += 1;
      else if (char === ')') depth -= 1;
      if (depth > MAX_PARENTHESES) return -1;
    }
  }
  here = skipSpaces(line, here);
  const quote = line[here];
  if (quote === '"' || quote === "'") {
    const close = line.indexOf(quote, here + 1);
    if (close < 0) return -1;
    here = skipSpaces(line, close + 1);
  }
  return line[here] === ')' ? here + 1 : -1;
}

function skipSpaces(line: string, at: number): number {
  let here = at;
  while (line[here] === ' ') here += 1;
  return here;
}
