/** Normalises markdown line by line: the block structure around a line decides which rules touch it. */
import { markerWidth, openingFence, tidyContent } from './markdown-content.ts';

/** One open list item: the column its content starts at, as read and as written. */
interface Level {
  raw: number;
  out: number;
}

interface Fence {
  char: string;
  length: number;
  /** Columns to take off each code line, and columns to put there instead. */
  raw: number;
  out: number;
  /** Further spaces before the opening fence, taken off the code as far as there are any. */
  loose: number;
}

/** Items nested deeper than this continue the text of the item above; a bound against lists made of markers only. */
const MAX_LEVELS = 64;

/**
 * Reads cleaned lines, writes normalised ones. Why normalising is idempotent: what a line becomes depends on the line and
 * on the state, the state follows from the lines *written*, and a written line read in the same state is written again
 * as it is. Every new rule has to keep that.
 */
export class LineNormaliser {
  private readonly lines: string[] = [];
  /** UTF-16 units written so far, line ends included. */
  private length = 0;
  private blankPending = false;
  private firstOfPage: number | undefined;

  /** Quote marks (`>`) before the current lines. */
  private quote = 0;
  private levels: Level[] = [];
  private fence: Fence | undefined;
  /** Whether the last line was text that the next one would continue: then indentation does not make code. */
  private inParagraph = false;

  /** One line without its end. */
  line(raw: string): void {
    if (this.fence !== undefined && this.codeLine(raw, this.fence)) return;
    if (raw.trim() === '') {
      this.blank();
      return;
    }
    const { marks, depth, rest } = this.quoteMarks(raw);
    if (depth !== this.quote) {
      this.quote = depth;
      this.levels = [];
    }
    const content = rest.trimStart();
    if (content === '') {
      this.inParagraph = false;
      this.write(marks.trimEnd());
      return;
    }
    this.contentLine(marks, content, rest.length - content.length);
  }

  /** Ends a page: closes an open fence, separates what follows by a blank line, and says where the page starts. */
  endPage(): number | undefined {
    if (this.fence !== undefined) this.closeFence(this.fence);
    this.blank();
    const start = this.firstOfPage;
    this.firstOfPage = undefined;
    return start;
  }

  /** Everything written, with exactly one line end at its end. */
  text(): string {
    if (this.fence !== undefined) this.closeFence(this.fence);
    return `${this.lines.join('\n')}\n`;
  }

  private contentLine(marks: string, content: string, column: number): void {
    const width = markerWidth(content, this.inParagraph);
    const level = this.levels.findLastIndex((open) => open.raw <= column);
    const base = this.levels[level] ?? { raw: 0, out: 0 };
    // Code stands right inside the innermost item; an item indented too far is taken for an item.
    const codeHere = level === this.levels.length - 1 && (width === 0 || level < 0);
    if (column - base.raw >= 4 && !this.inParagraph && codeHere) {
      this.write(marks + ' '.repeat(base.out + column - base.raw) + content.trimEnd());
      return;
    }
    let tidy = tidyContent(content, this.inParagraph);
    if (tidy === '') {
      // Nothing but links without text.
      if (marks === '') this.blank();
      else this.line(marks);
      return;
    }
    // A link's text must not turn its line into a quote.
    if (tidy.startsWith('>') && base.out === 0) tidy = `\\${tidy}`;
    this.follow(tidy, { width, column, level, base });
    this.write(marks + ' '.repeat(base.out) + tidy);
  }

  /** Brings the state up to a written line. */
  private follow(tidy: string, at: { width: number; column: number; level: number; base: Level }): void {
    const width = markerWidth(tidy, this.inParagraph);
    const fence = openingFence(tidy);
    const body = width > 0 ? tidy.slice(width) : tidy;
    const interrupts = width > 0 || fence !== undefined || /^(?:#{1,6}(?: |$)|\|)/.test(body);
    // A line of text with too little indentation still continues the paragraph of the innermost item.
    if (interrupts || !this.inParagraph) this.levels.length = at.level + 1;
    let inner = { raw: at.base.raw, out: at.base.out };
    if (width > 0 && this.levels.length < MAX_LEVELS) {
      inner = { raw: at.column + (at.width || width), out: at.base.out + width };
      this.levels.push(inner);
    }
    if (fence !== undefined) this.fence = { ...fence, ...inner, loose: width > 0 ? 0 : at.column - at.base.raw };
    this.inParagraph = fence === undefined && body !== '' && !/^(?:#{1,6}(?: |$)|\||(?:[-*_] ?){3,}$)/.test(body);
  }

  /** A line while a fence is open; false when the line does not belong to the code any more. */
  private codeLine(raw: string, fence: Fence): boolean {
    let at = 0;
    let marks = '';
    for (let depth = 0; depth < this.quote; depth += 1) {
      const mark = /^ {0,3}>( ?)/.exec(raw.slice(at, at + 5));
      if (mark === null) {
        this.closeFence(fence);
        return false;
      }
      at += mark[0].length;
      marks += `>${mark[1]}`;
    }
    const rest = raw.slice(at).trimEnd();
    const column = rest.length - rest.trimStart().length;
    const closer = /^(?:`{3,}|~{3,})$/.exec(rest.trimStart())?.[0];
    const closes = closer?.startsWith(fence.char) === true && closer.length >= fence.length;
    if (rest === '') {
      this.write(marks.trimEnd());
      return true;
    }
    if (closes && column - fence.raw - fence.loose <= 3) {
      this.fence = undefined;
      this.write(marks + ' '.repeat(fence.out) + closer);
      return true;
    }
    if (column < fence.raw) {
      this.closeFence(fence);
      return false;
    }
    const kept = Math.max(0, column - fence.raw - fence.loose);
    this.write(marks + ' '.repeat(fence.out + kept) + rest.slice(column));
    return true;
  }

  private closeFence(fence: Fence): void {
    this.fence = undefined;
    this.inParagraph = false;
    while (this.lines.at(-1) === '') {
      this.lines.pop();
      this.length -= 1;
    }
    this.write('> '.repeat(this.quote) + ' '.repeat(fence.out) + fence.char.repeat(fence.length));
  }

  /** Takes the quote marks off; marks that belong to an open list item or to indented code stay. */
  private quoteMarks(raw: string): { marks: string; depth: number; rest: string } {
    let marks = '';
    let depth = 0;
    let at = 0;
    for (;;) {
      let here = at;
      while (raw[here] === ' ') here += 1;
      const column = here - at;
      if (raw[here] !== '>' || (column >= 4 && !this.inParagraph)) break;
      const item = depth === this.quote ? this.levels[0] : undefined;
      if (item !== undefined && column >= item.raw) break;
      depth += 1;
      at = here + 1;
      marks += '>';
      if (raw[at] !== ' ') continue;
      at += 1;
      marks += ' ';
    }
    return { marks, depth, rest: raw.slice(at) };
  }

  private blank(): void {
    this.blankPending = true;
    this.inParagraph = false;
  }

  private write(line: string): void {
    if (this.blankPending && this.length > 0) this.push('');
    this.blankPending = false;
    this.firstOfPage ??= this.length;
    this.push(line);
  }

  private push(line: string): void {
    this.lines.push(line);
    this.length += line.length + 1;
  }
}
