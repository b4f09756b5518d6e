/** The block structure of markdown as ranges of its source, so that chunks can be cut without rewriting anything. */
import type { MarkdownIt, Token } from 'markdown-it';

/** A range of the source, UTF-16 units, `end` exclusive, without blank lines around it. */
export interface Range {
  start: number;
  end: number;
}

export type Block = Range &
  (
    | { kind: 'heading'; level: number; title: string }
    | { kind: 'rule' | 'text' }
    /** Lists, list items, quotes: what is in them, covering them without gaps. */
    | { kind: 'container'; children: Block[] }
    /** `body` is where the rows begin, after the header and the separator row. */
    | { kind: 'table'; body: number }
    /** `open` and `close` are the lines that make a piece of the code a fenced block again. */
    | { kind: 'fence'; open: string; close: string }
  );

/** A longer "heading" is a paragraph that happens to stand above dashes, or text made to break things. */
const MAX_HEADING = 300;

let parser: MarkdownIt | undefined;

/**
 * Cuts markdown into its top-level blocks. Together they cover every character that is not white space, in order.
 * markdown-it reads the blocks only: inline rules are never run, and link definitions count as text.
 */
export async function blocksOf(markdown: string): Promise<Block[]> {
  if (parser === undefined) {
    const { default: MarkdownItClass } = await import('markdown-it');
    parser = new MarkdownItClass();
    parser.block.ruler.disable('reference');
  }
  const tokens: Token[] = [];
  parser.block.parse(markdown, parser, {}, tokens);
  return new BlockReader(markdown, tokens).siblings({ start: 0, end: markdown.length }, 0, tokens.length);
}

const CONTAINERS = new Set(['bullet_list_open', 'ordered_list_open', 'list_item_open', 'blockquote_open']);

class BlockReader {
  private readonly source: string;
  private readonly tokens: readonly Token[];
  private readonly lineStarts: number[] = [0];

  constructor(source: string, tokens: readonly Token[]) {
    this.source = source;
    this.tokens = tokens;
    for (let at = source.indexOf('\n'); at >= 0; at = source.indexOf('\n', at + 1)) this.lineStarts.push(at + 1);
  }

  /** The blocks of `within` that tokens `from` to `to` describe; each one reaches to where the next one starts. */
  siblings(within: Range, from: number, to: number): Block[] {
    const found: { token: Token; index: number; end: number; start: number }[] = [];
    for (let index = from; index < to; index += 1) {
      const token = this.tokens[index];
      if (token?.map == null) continue;
      const close = this.closing(index);
      const start = found.length === 0 ? within.start : Math.max(within.start, this.lineStart(token.map[0]));
      found.push({ token, index, end: close, start });
      index = close;
    }
    const blocks: Block[] = [];
    found.forEach(({ token, index, end, start }, position) => {
      const range = this.trimmed({ start, end: found[position + 1]?.start ?? within.end });
      if (range.start < range.end) blocks.push(this.block(token, range, index + 1, end));
    });
    if (found.length === 0) {
      const range = this.trimmed(within);
      if (range.start < range.end) blocks.push({ kind: 'text', ...range });
    }
    return blocks;
  }

  private block(token: Token, range: Range, from: number, to: number): Block {
    if (CONTAINERS.has(token.type)) return { kind: 'container', ...range, children: this.siblings(range, from, to) };
    const first = token.map?.[0] ?? 0;
    if (token.type === 'heading_open') return this.heading(token, range);
    if (token.type === 'hr') return { kind: 'rule', ...range };
    if (token.type === 'table_open') {
      const body = Math.min(this.lineStart(first + 2), range.end);
      return { kind: 'table', ...range, body };
    }
    if (token.type === 'fence') return this.fence(token, range, first);
    return { kind: 'text', ...range };
  }

  private heading(token: Token, range: Range): Block {
    const text = this.source.slice(range.start, range.end);
    const [line = '', ...below] = text.split('\n', 3);
    const underlined = token.markup === '=' || token.markup === '-';
    if (text.length > MAX_HEADING || below.length > (underlined ? 1 : 0)) return { kind: 'text', ...range };
    const title = line
      .replace(/^ *#+/, '')
      .replace(/ #+ *$/, '')
      .replace(/^[\s*_`]+|[\s*_`]+$/g, '');
    return { kind: 'heading', ...range, level: Number(token.tag.slice(1)), title };
  }

  private fence(token: Token, range: Range, line: number): Block {
    const opening = this.source.slice(this.lineStart(line), this.lineStart(line + 1)).trimEnd();
    const at = opening.indexOf(token.markup);
    // A list marker before the fence belongs to the first piece only.
    const indent = opening.slice(0, at).replace(/[^ >]/g, ' ');
    return { kind: 'fence', ...range, open: indent + opening.slice(at), close: indent + token.markup };
  }

  /** The index of the token that closes the one at `index`. */
  private closing(index: number): number {
    const opener = this.tokens[index];
    if (opener === undefined || opener.nesting !== 1) return index;
    let end = index + 1;
    while (end < this.tokens.length && this.tokens[end]?.level !== opener.level) end += 1;
    return end;
  }

  private lineStart(line: number): number {
    return this.lineStarts[line] ?? this.source.length;
  }

  /** Without blank lines before it and white space after it; the indentation of its first line stays. */
  private trimmed({ start, end }: Range): Range {
    let last = end;
    while (last > start && /\s/.test(this.source.charAt(last - 1))) last -= 1;
    let first = start;
    for (let at = start; at < last && /\s/.test(this.source.charAt(at)); at += 1) {
      if (this.source[at] === '\n') first = at + 1;
    }
    return { start: first, end: last };
  }
}
