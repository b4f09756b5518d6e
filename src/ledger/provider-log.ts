/** Reads what a service says it billed from a file: the bill of the simulator, or an export as JSON, JSON lines or CSV. */
import { parseUsd } from '../domain/money.ts';
import { creditPrice, creditsCost, type PriceBook, tokenPrice } from '../domain/price-book.ts';
import type { ServiceName } from '../domain/service-mode.ts';
import type { TheirCharge } from './reconcile.ts';

/** Rows of other names would be read as free; a file of nothing but those is refused. */
const IDS = ['attempt_id', 'attemptId', 'job_id', 'jobId', 'remote_id', 'request_id', 'requestId', 'id'] as const;

/**
 * The charges of a file. Each row names its request by one of the ids above and its sum by `nano_usd`, `usd`, `credits`
 * (LlamaParse) or `tokens` with `model` (OpenAI); sums are taken as they are, credits and tokens at the price of `now`.
 * Throws an `Error` that says what is wrong with which row.
 */
export function readProviderLog(text: string, prices: PriceBook, now: number): TheirCharge[] {
  const rows = rowsOf(text);
  if (rows.length === 0) throw new Error('it has no rows');
  return rows.map((row, index) => chargeOf(row, prices, now, `row ${index + 1}`));
}

type Row = Readonly<Record<string, unknown>>;

function rowsOf(text: string): Row[] {
  const trimmed = text.trim();
  if (/^[[{]/.test(trimmed)) {
    const whole = json(trimmed);
    if (whole === undefined) return trimmed.split(/\r?\n/).filter(Boolean).map(jsonLine);
    if (Array.isArray(whole)) return whole.map((row, index) => record(row, `row ${index + 1}`));
    const bill = record(whole, 'the file');
    const lists = [bill.jobs, bill.requests, bill.data].filter(Array.isArray).flat();
    return Array.isArray(bill.jobs) || Array.isArray(bill.requests) || Array.isArray(bill.data)
      ? lists.map((row: unknown, index) => record(row, `row ${index + 1}`))
      : [bill];
  }
  const [head, ...lines] = csvRows(trimmed);
  if (head === undefined) return [];
  return lines.map((cells) => Object.fromEntries(head.map((name, index) => [name.trim(), cells[index] ?? ''])));
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function jsonLine(line: string, index: number): Row {
  return record(json(line), `line ${index + 1}`);
}

function record(value: unknown, where: string): Row {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${where} is no record`);
  return value as Row;
}

/** RFC 4180: quoted cells may hold commas, quotes (doubled) and line breaks. */
function csvRows(text: string): string[][] {
  const rows: string[][] = [[]];
  const cells = /("(?:[^"]|"")*"|[^,\r\n]*)(,|\r?\n|$)/y;
  for (;;) {
    const match = cells.exec(text);
    if (match === null) throw new Error('it is not CSV');
    const [whole, cell = '', end] = match;
    rows.at(-1)?.push(cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell);
    if (end === '' || whole === '') break;
    if (end !== ',') rows.push([]);
  }
  return rows.filter((row) => row.some((cell) => cell !== ''));
}

function chargeOf(row: Row, prices: PriceBook, now: number, where: string): TheirCharge {
  const ids = IDS.flatMap((name) => (typeof row[name] === 'string' && row[name] !== '' ? [row[name]] : []));
  if (ids.length === 0) throw new Error(`${where} names no request (${IDS.join(', ')})`);
  const service = serviceOf(row, where);
  return { service, ids, nanoUsd: sumOf(row, service, prices, now, where) };
}

function serviceOf(row: Row, where: string): ServiceName {
  if (row.service === 'llamaparse' || row.service === 'openai') return row.service;
  if (row.service !== undefined && row.service !== '')
    throw new Error(`${where} has a service that is neither llamaparse nor openai`);
  return row.credits === undefined ? 'openai' : 'llamaparse';
}

function sumOf(row: Row, service: ServiceName, prices: PriceBook, now: number, where: string): number {
  const nano = figure(row.nano_usd ?? row.nanoUsd);
  if (nano !== null) return Math.round(nano);
  const usd = row.usd === undefined || row.usd === '' ? null : parseUsd(String(row.usd));
  if (usd !== null) return usd;
  if (service === 'llamaparse') {
    const credits = figure(row.credits);
    if (credits !== null) return credits === 0 ? 0 : (creditsCost(credits, creditPrice(prices, now)) ?? 0);
  }
  const tokens = figure(row.tokens ?? row.n_context_tokens_total);
  if (tokens !== null && typeof row.model === 'string') return tokens * tokenPrice(prices, row.model, now).nanoUsd;
  throw new Error(`${where} has no sum (nano_usd, usd, credits, or tokens with model)`);
}

function figure(value: unknown): number | null {
  const number =
    typeof value === 'number' ? value : typeof value === 'string' && value !== '' ? Number(value) : Number.NaN;
  return Number.isFinite(number) && number >= 0 ? number : null;
}
