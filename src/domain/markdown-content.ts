/** What a line of markdown says once its indentation and quote marks are taken off. */
import { tidyInline } from './inline-markdown.ts';

/** Characters that PDF text uses as bullets; they need no space after them. */
const GLYPH_BULLET = '•◦▪‣⁃●';
const MARKER = new RegExp(`^(?:([*+-]|\\d{1,9}[.)])(?: +|$)|[${GLYPH_BULLET}] *)`, 'u');
/** List markers on one line (`- - - a`) beyond this many are text; a bound against lines made of markers only. */
const MAX_MARKERS = 16;
/** Passes over a line before whatever still looks like a link is taken apart. */
const MAX_PASSES = 8;

/** `---`, `* * *` and the like. */
function isRule(content: string): boolean {
  const mark = content.charAt(0);
  if (mark !== '-' && mark !== '*' && mark !== '_') return false;
  let marks = 0;
  for (const char of content) {
    if (char === mark) marks += 1;
    else if (char !== ' ') return false;
  }
  return marks >= 3;
}

/** The fence that opens with this content (list markers before it allowed), if any. */
export function openingFence(content: string): { char: string; length: number } | undefined {
  const { body } = splitMarkers(content, false);
  const fence = /^(`{3,}(?!.*`)|~{3,})/s.exec(body)?.[1];
  return fence === undefined ? undefined : { char: fence.charAt(0), length: fence.length };
}

/** The length of the list marker that the content starts with, spaces included as CommonMark counts them; 0 if none. */
export function markerWidth(content: string, inParagraph: boolean): number {
  const match = MARKER.exec(content);
  if (match === null || isRule(content) || (inParagraph && match[0].trimEnd() === content.trimEnd())) return 0;
  const marker = match[0].trimEnd().length;
  const spaces = match[0].length - marker;
  return marker + (spaces >= 1 && spaces <= 4 ? spaces : 1);
}

/**
 * The normal form of content: `-` for bullets, one space after `#`s, images and links as text, single spaces. Rows of
 * tables (they start with `|`) and opening fences stay as they are. Applied twice it changes nothing.
 *
 * `inParagraph`: a lone marker after a line of text is text, as `-` there would underline a heading.
 */
export function tidyContent(content: string, inParagraph: boolean): string {
  let now = content.trim();
  for (let pass = 0; pass < 2 * MAX_PASSES; pass += 1) {
    const next = tidyOnce(now, inParagraph);
    if (next === now) break;
    now = pass === MAX_PASSES ? next.replaceAll('](', '] (') : next;
  }
  return now;
}

function tidyOnce(content: string, inParagraph: boolean): string {
  if (isRule(content)) return content.replace(/ {2,}/g, ' ');
  const { markers, body } = splitMarkers(content, inParagraph);
  return (markers + tidyBody(body)).trim();
}

function tidyBody(body: string): string {
  if (body.startsWith('|') || openingFence(body) !== undefined) return body;
  if (isRule(body)) return body.replace(/ {2,}/g, ' ');
  const hashes = /^#{1,6}(?!#)/.exec(body)?.[0];
  if (hashes === undefined) return tidyInline(body);
  // `#1 priority` is a number, not a heading without its space.
  if (hashes === '#' && /^#\d/.test(body)) return tidyInline(body);
  return `${hashes} ${tidyInline(body.slice(hashes.length).trimStart())}`;
}

/** Takes the list markers off, in normal form. */
function splitMarkers(content: string, inParagraph: boolean): { markers: string; body: string } {
  let markers = '';
  let body = content;
  for (let count = 0; count < MAX_MARKERS && !isRule(body); count += 1) {
    const match = MARKER.exec(body);
    if (match === null) break;
    const rest = body.slice(match[0].length);
    if (rest === '' && inParagraph && markers === '') break;
    const marker = match[1] ?? '-';
    markers += /\d/.test(marker) ? `${marker} ` : '- ';
    body = rest;
  }
  return { markers, body };
}
