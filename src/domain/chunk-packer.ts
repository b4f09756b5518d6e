/** Packs units into chunks: when to close one, what to repeat in the next. */
import type { ChunkOptions } from './chunk-options.ts';
import { headingPath, renderUnits, tokensOf } from './chunk-text.ts';
import type { Unit, UnitCutter } from './chunk-units.ts';
import type { Block } from './markdown-blocks.ts';
import { type Count, tailStart } from './split-text.ts';

export interface PackedChunk {
  text: string;
  tokenCount: number;
  /** What the chunk covers beside its overlap. */
  start: number;
  end: number;
  headingPath: string[];
}

/**
 * Yields the chunks of a document in order.
 *
 * - A chunk is closed when the next unit would take it over the target. Blocks up to the maximum stay whole, so a chunk
 *   may be larger than the target, but only with one block.
 * - A heading closes the chunk before it, unless that has less than a quarter of the target and both lie under a common
 *   heading: short clauses of one chapter share a chunk, and its path is what they have in common. A chunk of a few
 *   words matches little but itself, and costs as much to store as a full one.
 * - A heading never ends a chunk while something follows, and never is a chunk by itself: it moves to what it heads.
 * - A new page closes the chunk once it has an eighth of the target, so that what is found on a page is found as that
 *   page; less than that goes on to the next page.
 * - A rest of less than a quarter of the target at the end of a page or section joins the chunk before it. Where there is
 *   none (a running title at the top of a page) less than an eighth joins what follows.
 * - The overlap repeats the end of the chunk before, within one section: whole rows in a table, whole lines in code, else
 *   from the start of a word. Over a page boundary only where a sentence goes on: a phrase should be found on its own
 *   page, not on the next one.
 */
export function* packChunks(
  source: string,
  blocks: readonly Block[],
  cutter: UnitCutter,
  options: ChunkOptions,
  count: Count,
): Generator<PackedChunk> {
  const packer = new Packer(source, cutter, options, count);
  yield* packer.run(cutter.units(blocks));
}

class Packer {
  private readonly source: string;
  private readonly cutter: UnitCutter;
  private readonly options: ChunkOptions;
  private readonly count: Count;
  /** Where units come from, the last one first: what was put back, before what is still to be read. */
  private readonly queue: Iterator<Unit>[] = [];
  private open: Unit[] = [];
  private openTokens = 0;
  /** Closed, but a rest may still join it. */
  private held: Unit[] | undefined;
  /** The chunk yielded last. */
  private done: Unit[] = [];

  constructor(source: string, cutter: UnitCutter, options: ChunkOptions, count: Count) {
    this.source = source;
    this.cutter = cutter;
    this.options = options;
    this.count = count;
  }

  *run(units: Iterator<Unit>): Generator<PackedChunk> {
    this.queue.push(units);
    for (let unit = this.pull(); unit !== undefined || this.open.length > 0; unit = this.pull()) {
      if (unit === undefined) yield* this.close();
      else if (this.mustClose(unit)) {
        this.putBack([unit]);
        yield* this.close();
      } else this.add(unit);
    }
    if (this.held !== undefined) yield this.finish(this.held);
  }

  private pull(): Unit | undefined {
    for (;;) {
      const result = this.queue.at(-1)?.next();
      if (result === undefined) return undefined;
      if (result.done !== true) return result.value;
      this.queue.pop();
    }
  }

  private putBack(units: Iterable<Unit>): void {
    this.queue.push(units[Symbol.iterator]());
  }

  private cost(unit: Unit, after: Unit | undefined): number {
    const wrap = unit.wrap !== undefined && unit.wrap !== after?.wrap ? unit.wrap.tokens + 2 : 0;
    return unit.tokens + 1 + wrap;
  }

  private add(unit: Unit): void {
    const { targetTokens, maxTokens, overlapTokens } = this.options;
    const last = this.open.at(-1);
    const cost = this.cost(unit, last);
    if (last !== undefined && this.openTokens + cost > maxTokens) {
      // Only headings are open: what follows is divided rather than parted from them.
      const parts = this.cutter.split(unit, Math.min(targetTokens - overlapTokens, unit.tokens - 1));
      if (parts !== undefined) {
        this.putBack(parts);
        return;
      }
    }
    if (last === undefined) this.openTokens = this.continues(unit) ? overlapTokens : 0;
    this.open.push(unit);
    this.openTokens += cost;
  }

  /** Whether a chunk that begins with the unit will begin with overlap. */
  private continues(unit: Unit): boolean {
    return !unit.heading && this.held?.at(-1)?.section === unit.section;
  }

  private mustClose(unit: Unit): boolean {
    const { targetTokens } = this.options;
    const last = this.open.at(-1);
    if (last === undefined) return false;
    if (!this.open.some((part) => part.content)) return this.openTokens >= targetTokens / 2;
    if (this.openTokens + this.cost(unit, last) > targetTokens) return true;
    const fresh = this.openTokens - (this.continues(this.open[0] ?? last) ? this.options.overlapTokens : 0);
    if (this.page(unit) !== this.page(last) && fresh >= targetTokens / 8) return true;
    if (!unit.heading) return false;
    if (fresh >= targetTokens / 4) return true;
    if (fresh < targetTokens / 8 && !this.open.some((part) => part.heading) && !this.restOfHeld(this.open))
      return false;
    const path = headingPath(this.open, targetTokens / 8);
    return path.length === 0 || path[0] !== unit.section.path[0];
  }

  private page(unit: Unit): number {
    return this.cutter.pageAt(unit.start);
  }

  /** Closes the open chunk: headings at its end go back to what they head, and so does what is over the maximum. */
  private *close(): Generator<PackedChunk> {
    const { maxTokens } = this.options;
    const units = this.open;
    this.open = [];
    const back: Unit[] = [];
    if (this.queue.length > 0 && units.some((unit) => unit.content)) {
      while (units.at(-1)?.heading === true) back.unshift(...units.splice(-1));
    }
    while (this.count(renderUnits(this.source, units)) > maxTokens) {
      const [last] = units.splice(-1);
      if (last === undefined) break;
      const parts =
        units.length > 0 ? undefined : this.cutter.split(last, Math.floor(Math.min(last.tokens, maxTokens) / 2));
      if (parts === undefined) back.unshift(last);
      else {
        this.putBack(back);
        this.putBack(parts);
        return;
      }
    }
    this.putBack(back);
    if (this.held !== undefined && this.joins(this.held, units)) {
      this.held.push(...units);
      return;
    }
    if (this.held !== undefined) yield this.finish(this.held);
    this.held = units;
  }

  /** Whether units go on in the section and on the page where the held chunk ends. */
  private restOfHeld(units: readonly Unit[]): boolean {
    const before = this.held?.at(-1);
    const first = units[0];
    const last = units.at(-1);
    if (before === undefined || first === undefined || last === undefined) return false;
    return before.section === first.section && !first.heading && this.page(before) === this.page(last);
  }

  /** Whether closed units are too few for a chunk of their own and fit the held one. */
  private joins(held: readonly Unit[], rest: readonly Unit[]): boolean {
    const { targetTokens, maxTokens } = this.options;
    if (!this.restOfHeld(rest) || tokensOf(rest) >= targetTokens / 4) return false;
    return this.count(renderUnits(this.source, [...held, ...rest])) <= Math.min(targetTokens * 1.5, maxTokens);
  }

  /** The chunk of some units, with as much overlap as the maximum leaves room for. */
  private finish(units: Unit[]): PackedChunk {
    const { targetTokens, maxTokens, overlapTokens } = this.options;
    let text = renderUnits(this.source, units);
    let tokenCount = this.count(text);
    const room = Math.min(overlapTokens, maxTokens - tokenCount);
    // A few words with a longer overlap would be found for the overlap.
    const overlap = room > 0 && tokenCount >= room ? this.overlap(units, room) : [];
    if (overlap.length > 0) {
      const longer = renderUnits(this.source, [...overlap, ...units]);
      const longerCount = this.count(longer);
      if (longerCount <= maxTokens) {
        text = longer;
        tokenCount = longerCount;
      }
    }
    this.done = units;
    this.held = undefined;
    const path = headingPath(units, targetTokens / 8);
    return { text, tokenCount, start: units[0]?.start ?? 0, end: units.at(-1)?.end ?? 0, headingPath: path };
  }

  /** The end of the chunk before, as units: rows of the same table, lines of the same code, or plain text. */
  private overlap(units: readonly Unit[], limit: number): Unit[] {
    const first = units[0];
    const before = this.done.at(-1);
    if (first === undefined || first.heading || before?.section !== first.section) return [];
    const shared = first.wrap !== undefined && first.wrap === before.wrap;
    const inside = first.wrap !== undefined && first.start > first.wrap.start;
    if (!shared && (!before.plain || inside)) return [];
    if (!shared && this.page(before) !== this.page(first) && endsSentence(this.source, before.end)) return [];
    let index = this.done.length;
    let tokens = 0;
    for (; index > 0; index -= 1) {
      const unit = this.done[index - 1];
      if (unit === undefined || unit.section !== first.section) break;
      if (shared ? unit.wrap !== first.wrap || tokens + unit.tokens > limit : !unit.plain) break;
      tokens += unit.tokens + 1;
      if (!shared && tokens > 2 * limit) {
        index -= 1;
        break;
      }
    }
    const tail = this.done.slice(index);
    const [earliest] = tail;
    if (shared || earliest === undefined) return tail;
    const start = tailStart(this.source, { start: earliest.start, end: before.end }, limit, this.count);
    return start < before.end ? [{ ...before, start }] : [];
  }
}

/** Whether text ends there with the end of a sentence. */
function endsSentence(source: string, end: number): boolean {
  return /[.!?…:;。！？｡|]["'”’)\]」』”）*_`]*$/u.test(source.slice(Math.max(0, end - 8), end));
}
