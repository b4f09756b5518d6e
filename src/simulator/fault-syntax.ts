/**
 * The compact text that describes faults: `parse.create=500x2,parse.create=cut,embeddings=429:retry-after=2x3,job=failed:TIMEOUT*`.
 *
 * A rule is `target=action[:param…][times]`. A param is `name=value`, a bare `name`, or the one value the action is about
 * (`delay:2s`). Times: none or `x1` once, `x3` the next three, `*` always, `~0.05` at that rate. Values that contain
 * `, : " x` or the like go in double quotes. Rules that cover a request happen in the order they are written, one for each
 * request; a new job takes the first rule of each action of `job` and of `webhook`, a new batch of `batch`.
 */
import { FAULT_ACTIONS } from './fault-actions.ts';
import type { Fault } from './faults.ts';
import { OPERATIONS } from './operations.ts';

/** A fault text that is not understood; the message names the rule and what is allowed. */
export class FaultSyntaxError extends Error {}

/** Operations, their families, and what covers more. */
const ENDPOINTS = [
  ...new Set(OPERATIONS.flatMap((operation) => [operation.split('.')[0] ?? '', operation])),
  ...['llama', 'openai', 'any'],
];

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
  if (target === 'job') return Object.keys(FAULT_ACTIONS.job);
  if (target === 'webhook') return Object.keys(FAULT_ACTIONS.webhook);
  if (target === 'batch') return Object.keys(FAULT_ACTIONS.batch);
  if (!ENDPOINTS.includes(target)) return undefined;
  return [
    ...Object.keys(FAULT_ACTIONS.answer),
    ...(target === 'embeddings' ? Object.keys(FAULT_ACTIONS.embeddings) : []),
    ...(['parse.create', 'batches.create'].includes(target) ? Object.keys(FAULT_ACTIONS.create) : []),
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
