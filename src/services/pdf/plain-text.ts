/**
 * The fallback reader: text without structure, by pdf.js (unpdf), for what PDFium cannot read. Runs only in the child
 * process.
 */
import { MOST_CHARACTERS, tooMuchText } from './pdfium.ts';

/** A lone surrogate cannot be stored as UTF-8. */
const LONE_SURROGATES = /\p{Surrogate}/gu;

/**
 * The text of the asked pages (1-based) by page number; pages that pdf.js cannot read are left out, and nothing is
 * there when it cannot open the document. Throws E414 for more than 64 MiB of text.
 */
export async function plainText(bytes: Uint8Array, wanted: readonly number[]): Promise<Map<number, string>> {
  const found = new Map<number, string>();
  const { getDocumentProxy } = await import('unpdf');
  // A copy, because pdf.js takes the buffer away from its owner.
  const document = await getDocumentProxy(new Uint8Array(bytes), { verbosity: 0, stopAtErrors: false }).catch(
    () => undefined,
  );
  if (document === undefined) return found;
  let characters = 0;
  for (const number of wanted) {
    const text = await pageText(document, number);
    if (text === undefined) continue;
    characters += text.length;
    if (characters > MOST_CHARACTERS) throw tooMuchText();
    found.set(number, text);
  }
  await document.destroy();
  return found;
}

type Document = Awaited<ReturnType<typeof import('unpdf').getDocumentProxy>>;

async function pageText(document: Document, number: number): Promise<string | undefined> {
  try {
    const page = await document.getPage(number);
    const { items } = await page.getTextContent();
    const text = items.map((item) => ('str' in item ? `${item.str}${item.hasEOL ? '\n' : ''}` : '')).join('');
    page.cleanup();
    return text.trim() === '' ? '' : text.replace(LONE_SURROGATES, '\uFFFD');
  } catch {
    return undefined;
  }
}
