/**
 * The page tree of a PDF: counted by walking it, and rewritten flat when its `/Count` lies. Runs only in the child
 * process.
 *
 * pdf-lib reads the objects of a file from front to back and does not need the cross-reference table, so tables that
 * loop or lie do not matter. Measured warm: 2-6 ms for 30 pages, 47 ms for 1000 pages, 17-22 ms for a file of 25 MB.
 */
import type { PDFDict, PDFDocument, PDFRef } from '@cantoo/pdf-lib';
import { TvdbError } from '../../base/errors.ts';

/**
 * More pages than this are refused before any configured limit is asked; a legal tree of this size takes 0.1 s to
 * walk.
 */
export const MOST_PAGES = 100_000;

/** Nodes visited at most. Legal trees have fewer nodes than pages; a tree of shared empty nodes would have 10^n. */
const MOST_VISITS = 4 * MOST_PAGES;

/** PDFium follows 1,024 levels, producers make fewer than 20; deeper trees are refused rather than counted short. */
const MOST_LEVELS = 1_000;

/** Objects read before the event loop gets a turn, so that a child whose parent has died notices it. */
const OBJECTS_PER_TURN = 2_000;

/** Page attributes that a page takes from the nodes above it (ISO 32000-1, table 30, "inheritable"). */
const INHERITED = ['Resources', 'MediaBox', 'CropBox', 'Rotate'];

type PdfLib = typeof import('@cantoo/pdf-lib');

interface Leaf {
  /** `undefined` for a page that is listed but not in the file: it keeps its number, so that its loss is seen. */
  page: PDFDict | undefined;
  /** Absent for a page written straight into `/Kids`, which is not legal but is read by all. */
  ref: PDFRef | undefined;
  /** The nodes above, outermost first. */
  above: readonly PDFDict[];
}

export interface PageTree {
  pages: number;
  /** Every entry of every `/Kids` was a page or a node, and none contains itself. */
  sound: boolean;
  encrypted: boolean;
}

/**
 * Walks the page tree of `bytes`. A page that is listed twice counts twice, as all readers show it twice; a node
 * inside itself counts once, and a page that is listed but missing counts too. Returns `undefined` when pdf-lib cannot
 * read the document (damaged, or a password is needed). Throws E407 beyond 100,000 pages and E405 when the tree is
 * endless or 1,000 levels deep.
 */
export async function walkPageTree(bytes: Uint8Array): Promise<PageTree | undefined> {
  const lib = await import('@cantoo/pdf-lib');
  const document = await load(lib, bytes);
  if (document === undefined) return undefined;
  const { leaves, sound } = walk(lib, document);
  return {
    pages: leaves.length,
    sound,
    encrypted: document.isEncrypted || document.context.isDecrypted,
  };
}

/**
 * The same document with one flat page tree whose `/Count` is the truth, decrypted, so that a reader which believes
 * `/Count` (PDFium does) finds every page. `undefined` when pdf-lib cannot read the document or finds no page.
 */
export async function flattenPageTree(bytes: Uint8Array): Promise<Uint8Array | undefined> {
  const lib = await import('@cantoo/pdf-lib');
  const document = await load(lib, bytes);
  if (document === undefined) return undefined;
  const { leaves } = walk(lib, document);
  if (leaves.every(({ page }) => page === undefined)) return undefined;
  const { PDFName } = lib;
  const { context } = document;
  const kids = context.obj([]);
  const root = context.obj({ Type: 'Pages', Count: leaves.length });
  const rootRef = context.register(root);
  const placed = new Set<PDFDict>();
  for (const { page, ref, above } of leaves) {
    if (page === undefined) {
      kids.push(context.nextRef());
      continue;
    }
    // A page listed twice becomes two pages: one dictionary can have only one place in a tree.
    const own = placed.has(page) ? page.clone(context) : page;
    placed.add(own);
    for (const key of INHERITED.map((name) => PDFName.of(name))) {
      const value = above.findLast((node) => node.has(key))?.get(key);
      if (!own.has(key) && value !== undefined) own.set(key, value);
    }
    own.set(PDFName.of('Type'), PDFName.of('Page'));
    own.set(PDFName.of('Parent'), rootRef);
    kids.push(own === page && ref !== undefined ? ref : context.register(own));
  }
  root.set(PDFName.of('Kids'), kids);
  document.catalog.set(PDFName.of('Pages'), rootRef);
  // The plain writer and not `document.save()`, which walks the tree by its own rules and regenerates form fields.
  return lib.PDFWriter.forContext(context, OBJECTS_PER_TURN).serializeToBuffer();
}

/** Reads a document with the empty user password. Whatever pdf-lib throws means: not readable by it. */
async function load({ PDFDocument, PDFDict }: PdfLib, bytes: Uint8Array): Promise<PDFDocument | undefined> {
  try {
    const document = await PDFDocument.load(bytes, {
      password: '',
      updateMetadata: false,
      parseSpeed: OBJECTS_PER_TURN,
    });
    return document.catalog instanceof PDFDict ? document : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Depth first, with the open nodes as the guard against cycles: a set of all seen nodes would drop pages listed twice.
 */
function walk(
  { PDFName, PDFDict, PDFArray, PDFRef }: PdfLib,
  document: PDFDocument,
): { leaves: Leaf[]; sound: boolean } {
  const { context } = document;
  const KIDS = PDFName.of('Kids');
  const leaves: Leaf[] = [];
  let sound = true;
  let visits = 0;
  const path: { node: PDFDict; kids: unknown[]; next: number; above: readonly PDFDict[] }[] = [];
  const open = new Set<PDFDict>();

  const addLeaf = (leaf: Leaf) => {
    leaves.push(leaf);
    if (leaves.length > MOST_PAGES) throw tooManyPages();
  };
  const visit = (value: unknown, above: readonly PDFDict[]) => {
    visits += 1;
    if (visits > MOST_VISITS || path.length > MOST_LEVELS) {
      throw new TvdbError('E405', {
        message: 'the page tree of the PDF does not end',
        why: 'its nodes share or nest each other without limit',
      });
    }
    const ref = value instanceof PDFRef ? value : undefined;
    const object = ref === undefined ? value : context.lookup(ref);
    if (object instanceof PDFDict && open.has(object)) {
      sound = false;
    } else if (!(object instanceof PDFDict)) {
      sound = false;
      if (above.length > 0) addLeaf({ page: undefined, ref: undefined, above });
    } else if (object.has(KIDS)) {
      const kids = context.lookup(object.get(KIDS));
      if (!(kids instanceof PDFArray)) sound = false;
      open.add(object);
      path.push({
        node: object,
        kids: kids instanceof PDFArray ? kids.asArray() : [],
        next: 0,
        above: [...above, object],
      });
    } else {
      addLeaf({ page: object, ref, above });
    }
  };

  visit(document.catalog.get(PDFName.of('Pages')), []);
  for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
    if (top.next < top.kids.length) {
      top.next += 1;
      visit(top.kids[top.next - 1], top.above);
    } else {
      open.delete(top.node);
      path.pop();
    }
  }
  return { leaves, sound };
}

/** E407 for a document beyond `MOST_PAGES`. */
export function tooManyPages(): TvdbError {
  return new TvdbError('E407', {
    message: `the PDF has more than ${MOST_PAGES} pages`,
    facts: { limit: MOST_PAGES },
  });
}
