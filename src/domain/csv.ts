/** Tables as CSV (RFC 4180) that no spreadsheet runs: a text that would be read as a formula is marked as text. */

/** Numbers stay numbers, a negative one too; `null` is an empty cell. */
export type CsvCell = string | number | null;

/**
 * A sign (or its full-width form) that makes a formula of the text behind it: at the start of a cell, and behind what separates
 * cells in other places: many spreadsheets split lines at semicolons, and quotes in the middle of a line do not stop them.
 * Spaces before it are dropped by spreadsheets. The mark goes right before the sign, and before marks that are there already,
 * so that taking one off gives the text back.
 */
const FORMULA = /(^|[;\t\r\n])([^\S\t\r\n]*)('*[=+\-@＝＋－＠])/g;

/** White space at the start of a cell that spreadsheets drop before they look for a sign. */
const LEADING_SPACE = /^('*[\t\r\n])/;

/** Lines end in CRLF, the last one too. Cells with separators, quotes or line breaks are quoted. */
export function csv(rows: readonly (readonly CsvCell[])[]): string {
  return rows.map((row) => `${row.map(cellText).join(',')}\r\n`).join('');
}

function cellText(cell: CsvCell): string {
  if (cell === null) return '';
  if (typeof cell === 'number') return String(cell);
  const safe = cell.replace(FORMULA, "$1$2'$3").replace(LEADING_SPACE, "'$1");
  return /[",;\t\r\n]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
