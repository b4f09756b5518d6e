/**
 * The compact text that describes faults: `parse.create=500x2,parse.create=cut,embeddings=429:retry-after=2x3,job=failed:TIMEOUT*`.
 *
 * A rule is `target=action[:param…][times]`. A param is `name=value`, a bare `name`, or the one value the action is about
 * (`delay:2s`). Times: none or `x1` once, `x3` the next three, `*` always, `~0.05` at that rate. Values that contain
 * `, : " x` or the like go in double quotes. Rules that cover a request happen in the order they are written, one for each
 * request; a new job takes the first rule of each action of `job` and of `webhook`, a new batch of `batch`.
 */
import type { Fault } from './faults.ts';

/** A fault text that is not understood; the message names the rule and what is allowed. */
export class FaultSyntaxError extends Error {}

/** Things that can happen to the answer of any endpoint. */
export const ANSWER_ACTIONS: Readonly<Record<string, string>> = {
  quota: 'the account is out of money: 402, or 429 insufficient_quota (:code=…)',
  rate: '429 of the kind that passes (:retry-after=…)',
  delay: 'the work is done, the answer comes later (:2s)',
  hang: 'the work is done, no answer ever',
  'hang-before': 'nothing is done, no answer ever',
  cut: 'the work is done, then the socket is destroyed',
  'cut-before': 'the socket is destroyed, nothing is done',
  stall: 'half of the body, then nothing',
  drip: 'the body byte by byte (:1s between two)',
  truncated: 'half of the JSON, as if it were all',
  malformed: 'JSON with a mistake in it',
  html: 'a page of HTML with status 200 (:502)',
  'wrong-shape': 'JSON of another shape',
  huge: 'the body behind 64 MB of spaces (:mb=…)',
  redirect: '302 to elsewhere (:to=…)',
};

/** Things that can be wrong with an embeddings answer. */
export const EMBEDDING_ACTIONS: Readonly<Record<string, string>> = {
  reorder: 'rows in another order, each with its right index',
  'missing-index': 'rows without index',
  'duplicate-index': 'two rows with the same index',
  'missing-row': 'one row fewer than texts',
  'short-vector': 'one vector of half the length',
  'wrong-dims': 'all vectors of 256 dimensions',
  nan: 'one vector with a NaN',
  zero: 'one vector of zeros',
  'not-unit': 'vectors of length 2',
  floats: 'floats where base64 was asked for',
  'wrong-model': 'another model than was asked for',
};

/** Things that can be wrong with a parse job; taken when the job is made. */
export const JOB_ACTIONS: Readonly<Record<string, string>> = {
  failed: 'ends FAILED (:TIMEOUT or another reason, :billed, :cached for the same file again)',
  stuck: 'stays PENDING for ever',
  'stuck-running': 'stays RUNNING for ever',
  slow: 'takes longer (:10m)',
  gone: 'the id answers 404',
  hidden: 'not in lists (:30s, or for ever)',
  'credits-null': 'usage.credits is null (:20 looks, or for ever)',
  'credits-zero': 'usage.credits is 0 (:20 looks, or for ever)',
  credits: 'bills this many credits instead (:45)',
  'failed-pages': 'pages with success false (:2+5)',
  'missing-pages': 'pages that are left out (:3)',
  'empty-pages': 'pages without text (:1), or all',
  'long-pages': 'pages longer than the 64 KB that are kept (:1)',
  'cancel-refused': 'cannot be cancelled',
  'cancel-billed': 'is billed in full when it is cancelled',
};

/** Things that can be wrong with webhooks; taken when the job is made. */
export const WEBHOOK_ACTIONS: Readonly<Record<string, string>> = {
  missing: 'no delivery at all',
  early: 'success arrives before the create call is answered',
  premature: 'success arrives when the job starts to run',
  late: 'every delivery later (:5s)',
  duplicate: 'every delivery several times (:3)',
  reorder: 'success before running and pending',
  forged: 'signed with a wrong secret',
  'old-secret': 'signed with the secret before this one',
  unsigned: 'no signature',
  uppercase: 'the signature in upper-case hex',
  huge: 'a body of 2 MB (:mb=…)',
};

/** Things that can be wrong with a batch; taken when it is made. */
export const BATCH_ACTIONS: Readonly<Record<string, string>> = {
  invalid: 'fails validation',
  expired: 'expires when this share of the rows is done (:0.5)',
  'row-errors': 'this many rows end in the error file (:1)',
  unanswered: 'this many rows are in neither file (:1)',
  frozen: 'stays in progress for ever',
};

const ENDPOINTS = ['files', 'parse', 'embeddings', 'models', 'batch-files', 'batches', 'llama', 'openai', 'any'];

/** Reads a fault text; an empty one has no rules. Throws `FaultSyntaxError`. */
export function parseFaults(text: string): Fault[] {
  return splitOutsideQuotes(text, ',')
    .map((rule) => rule.trim())
    .filter((rule) => rule !== '')
    .map(parseRule);
}

function parseRule(rule: string): Fault {
  const match = /^([a-z-]+(?:\.[a-z-]+)?)=(.+?)(?:x(\d+)|(\*)|~(0?\.\d+|1))?$/.exec(rule);
  if (match === null) throw new FaultSyntaxError(`"${rule}" is not of the form target=action[:param][xN|*|~rate]`);
  const [, target = '', body = '', times, always, rate] = match;
  const [action = '', ...params] = splitOutsideQuotes(body, ':');
  check(rule, target, action);
  return {
    target,
    action,
    params: Object.fromEntries(params.map(parseParam)),
    times: always === undefined && rate === undefined ? Number(times ?? 1) : null,
    rate: rate === undefined ? null : Number(rate),
  };
}

/** `retry-after=2` is a named value, `accepted` a flag; what is neither is the value the action is about. */
function parseParam(text: string): [string, string] {
  const named = /^([a-z-]+)=(.*)$/s.exec(text);
  if (named !== null) return [named[1] ?? '', unquoted(named[2] ?? '')];
  return FLAGS.includes(text) ? [text, 'yes'] : ['value', unquoted(text)];
}

/** `accepted`: the work is done before the fault; `refused`: it is not; `html`: the error as a page; `echo`: the key in it. */
const FLAGS = ['accepted', 'refused', 'html', 'echo', 'billed', 'cached'];

function check(rule: string, target: string, action: string): void {
  const allowed = actionsOf(target);
  if (allowed === undefined) {
    throw new FaultSyntaxError(
      `"${rule}": no target ${target}; there are ${[...ENDPOINTS, 'job', 'webhook', 'batch'].join(', ')}`,
    );
  }
  const status = !['job', 'webhook', 'batch'].includes(target) && /^[2-5]\d\d$/.test(action);
  if (!status && !allowed.includes(action)) {
    throw new FaultSyntaxError(`"${rule}": no fault ${action} for ${target}; there are ${allowed.join(', ')}`);
  }
}

function actionsOf(target: string): string[] | undefined {
  if (target === 'job') return Object.keys(JOB_ACTIONS);
  if (target === 'webhook') return Object.keys(WEBHOOK_ACTIONS);
  if (target === 'batch') return Object.keys(BATCH_ACTIONS);
  if (!ENDPOINTS.includes(target.split('.')[0] ?? '')) return undefined;
  return [
    ...Object.keys(ANSWER_ACTIONS),
    ...(target === 'embeddings' ? Object.keys(EMBEDDING_ACTIONS) : []),
    ...(target === 'parse.create' ? ['duplicate'] : []),
  ];
}

function unquoted(text: string): string {
  return /^".*"$/s.test(text) ? text.slice(1, -1) : text;
}

function splitOutsideQuotes(text: string, separator: string): string[] {
  const parts = [''];
  let quoted = false;
  for (const char of text) {
    if (char === '"') quoted = !quoted;
    if (char === separator && !quoted) parts.push('');
    else parts[parts.length - 1] += char;
  }
  return parts;
}

/** `150ms`, `2s`, `10m`, `1h` or a bare number of milliseconds; `undefined` when it is none of them. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  if (match === null) return undefined;
  const unit = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[match[2] ?? 'ms'] ?? 1;
  return Math.round(Number(match[1]) * unit);
}
