/** Tables as CSV (RFC 4180) that no spreadsheet runs: a text that would be read as a formula is marked as text. */

/** Numbers stay numbers, a negative one too; `null` is an empty cell. */
export type CsvCell = string | number | null;

/**
 * What makes a formula of the text behind it, at the start of a cell: the four signs, their full-width forms, and white
 * space that spreadsheets drop (TAB, CR, LF) before they look. Spaces before a sign are dropped as well.
 */
const FORMULA = /^(\s*'*[=+\-@＝＋－＠]|'*[\t\r\n])/;

/**
 * The same inside a text, behind what separates cells in other places: many spreadsheets split lines at semicolons, and
 * quotes in the middle of a line do not stop them.
 */
const INNER = /([;\t\r\n])(\s*'*[=+\-@＝＋－＠])/g;

/** Lines end in CRLF, the last one too. Cells with separators, quotes or line breaks are quoted. */
export function csv(rows: readonly (readonly CsvCell[])[]): string {
  return rows.map((row) => `${row.map(cellText).join(',')}\r\n`).join('');
}

function cellText(cell: CsvCell): string {
  if (cell === null) return '';
  if (typeof cell === 'number') return String(cell);
  const safe = cell.replace(INNER, "$1'$2").replace(FORMULA, "'$1");
  return /[",;\t\r\n]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
