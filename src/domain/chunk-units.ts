/** The parts chunks are packed from: whole blocks, and parts of blocks that are too long for one chunk. */

import type { PageStart } from './markdown.ts';
import type { Block, Range } from './markdown-blocks.ts';
import { type Count, type Piece, splitText, tokensWithin } from './split-text.ts';
import { insidePair } from './tokens.ts';

/** What every piece of a divided table or code block needs around it to be one again. */
export interface Wrap extends Range {
  /** Header and separator row, or the opening fence; empty or ends with a line end. */
  before: string;
  /** The closing fence; empty or begins with a line end. */
  after: string;
  tokens: number;
}

/** A heading and what stands under it up to the next heading. */
export interface Section {
  /** Titles from the outermost heading to this one. */
  path: readonly string[];
}

export interface Unit extends Piece {
  section: Section;
  /** Headings and rules are no content: a chunk of nothing else waits for what follows. */
  content: boolean;
  heading: boolean;
  /** Text without tables and code in it: overlap may be taken from it. */
  plain: boolean;
  wrap?: Wrap | undefined;
  /** The block, while the unit is the whole of it. */
  block?: Block | undefined;
}

/** Makes units of blocks. Lazy: nothing is counted before it is asked for. */
export class UnitCutter {
  private readonly source: string;
  private readonly pageStarts: readonly PageStart[];
  private readonly maxTokens: number;
  private readonly pieceTokens: number;
  private readonly count: Count;

  /** `maxTokens`: a block over this is divided. `pieceTokens`: no part of a divided text is over this. */
  constructor(
    source: string,
    pageStarts: readonly PageStart[],
    limits: { maxTokens: number; pieceTokens: number },
    count: Count,
  ) {
    this.source = source;
    this.pageStarts = pageStarts;
    this.maxTokens = limits.maxTokens;
    this.pieceTokens = limits.pieceTokens;
    this.count = count;
  }

  /** The units of a document, each with its section. */
  *units(blocks: readonly Block[]): Generator<Unit> {
    const open: { level: number; title: string }[] = [];
    let section: Section = { path: [] };
    for (const block of blocks) {
      if (block.kind === 'heading') {
        while ((open.at(-1)?.level ?? 0) >= block.level) open.pop();
        open.push(block);
        section = { path: open.map(({ title }) => title).filter((title) => title !== '') };
      }
      yield* this.blockUnits(block, section);
    }
  }

  /**
   * Parts of a unit that turned out too long, of at most `limit` tokens each; `undefined` when it cannot be divided.
   * Ends: a block becomes its parts, parts become shorter text, and the shortest text is one code point.
   */
  split(unit: Unit, limit: number): Generator<Unit> | undefined {
    const { block, section } = unit;
    if (block !== undefined) return this.parts(block, section, limit);
    const room = limit - (unit.wrap?.tokens ?? 0);
    if (room >= 4 && room < unit.tokens) return this.textUnits(unit, section, room, unit.plain, unit.wrap);
    // Not even a header or a fence fits beside it.
    if (unit.wrap !== undefined) return this.textUnits(unit, section, limit, false);
    return unit.tokens > limit ? this.textUnits(unit, section, limit, unit.plain) : undefined;
  }

  /** The page an offset lies on. */
  pageAt(offset: number): number {
    return this.pageStarts[this.pageIndex(offset)]?.number ?? 1;
  }

  private *blockUnits(block: Block, section: Section): Generator<Unit> {
    const tokens = tokensWithin(this.source, block, this.maxTokens, this.count);
    const onePage = this.pageIndex(block.start) === this.pageIndex(block.end - 1);
    if (tokens > this.maxTokens || (!onePage && (block.kind === 'container' || block.kind === 'text'))) {
      yield* this.parts(block, section, this.pieceTokens);
      return;
    }
    const content = block.kind !== 'heading' && block.kind !== 'rule';
    const plain = block.kind === 'text' || (block.kind === 'container' && isPlain(block));
    const { start, end } = block;
    yield { start, end, tokens, section, content, heading: block.kind === 'heading', plain, block };
  }

  private *parts(block: Block, section: Section, limit: number): Generator<Unit> {
    if (block.kind === 'container') {
      for (const child of block.children) yield* this.blockUnits(child, section);
    } else if (block.kind === 'table') {
      yield* this.rows(
        block,
        section,
        limit,
        {
          ...range(block),
          before: `${this.source.slice(block.start, block.body).trimEnd()}\n`,
          after: '',
          tokens: 0,
        },
        block.body,
      );
    } else if (block.kind === 'fence') {
      yield* this.rows(
        block,
        section,
        limit,
        {
          ...range(block),
          before: `${block.open}\n`,
          after: `\n${block.close}`,
          tokens: 0,
        },
        Math.min(this.lineEnd(block.start, block.end) + 1, block.end),
      );
    } else {
      for (const part of this.byPage(block)) yield* this.textUnits(part, section, limit, true);
    }
  }

  /** Lines of a table or of code; the first one carries what stands before `body`. */
  private *rows(block: Range, section: Section, limit: number, wrap: Wrap, body: number): Generator<Unit> {
    wrap.tokens = wrap.before.length > limit * 8 ? limit : this.count(wrap.before) + this.count(wrap.after);
    // A header that would take half of every chunk is not worth repeating.
    if (wrap.tokens * 2 > limit) {
      yield* this.textUnits(block, section, limit, false);
      return;
    }
    // The last line of code takes the closing fence along.
    const last = this.source.endsWith(wrap.after, block.end) ? block.end - wrap.after.length : block.end;
    let start = block.start;
    let end = this.lineEnd(body, block.end);
    while (start < block.end) {
      if (end >= last) end = block.end;
      const tokens = tokensWithin(this.source, { start, end }, limit, this.count);
      if (tokens + wrap.tokens <= limit) {
        if (this.source.slice(start, end).trim() !== '') {
          yield { start, end, tokens, section, content: true, heading: false, plain: false, wrap };
        }
      } else {
        yield* this.textUnits({ start, end }, section, limit - wrap.tokens, false, wrap);
      }
      start = end + 1;
      end = this.lineEnd(start, block.end);
    }
  }

  private *textUnits(part: Range, section: Section, limit: number, plain: boolean, wrap?: Wrap): Generator<Unit> {
    for (const piece of splitText(this.source, part, limit, this.count)) {
      yield { ...piece, section, content: true, heading: false, plain, wrap };
    }
  }

  private *byPage(block: Range): Generator<Range> {
    let start = block.start;
    for (let page = this.pageIndex(start) + 1; page < this.pageStarts.length; page += 1) {
      let end = this.pageStarts[page]?.start ?? block.end;
      if (insidePair(this.source, end)) end += 1;
      if (end >= block.end) break;
      yield { start, end };
      start = end;
    }
    yield { start, end: block.end };
  }

  private lineEnd(from: number, limit: number): number {
    const end = this.source.indexOf('\n', from);
    return end < 0 || end > limit ? limit : end;
  }

  /** Index of the last page that starts at or before the offset; 0 when none does. */
  private pageIndex(offset: number): number {
    let low = 0;
    let high = this.pageStarts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.pageStarts[middle]?.start ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }
}

function range({ start, end }: Range): Range {
  return { start, end };
}

function isPlain(block: Block): boolean {
  if (block.kind === 'container') return block.children.every(isPlain);
  return block.kind !== 'table' && block.kind !== 'fence';
}
