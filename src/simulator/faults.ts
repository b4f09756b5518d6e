/** The faults that are waiting to happen: scripted in order, at a seeded rate, or always. */
import { parseFaults } from './fault-syntax.ts';

export interface Fault {
  /** An operation (`parse.create`), a family (`parse`), a service (`llama`, `openai`), `any`, `job`, `webhook` or `batch`. */
  readonly target: string;
  /** A status code or a word of `fault-syntax.ts`. */
  readonly action: string;
  readonly params: Readonly<Record<string, string>>;
  /** How often it still happens; `null` is always. */
  readonly times: number | null;
  /** Chance in [0, 1) at each opportunity; `null` is every one. */
  readonly rate: number | null;
}

export interface FaultBook {
  /** Adds rules behind those that wait. Throws `FaultSyntaxError`. */
  add(text: string): void;
  clear(): void;
  /** Rules that can still happen. */
  waiting(): readonly Fault[];
  /** The first rule that applies to an operation, used up once. */
  take(operation: string, service: string): Fault | undefined;
  /** For what was made, several things can go wrong at once: the first applying rule of each action. */
  takeEach(target: 'job' | 'webhook' | 'batch'): ReadonlyMap<string, Fault>;
}

/** `random` is a number in [0, 1); the same seed gives the same faults for the same requests. */
export function createFaultBook(random: () => number): FaultBook {
  let rules: { fault: Fault; left: number | null }[] = [];

  const happens = (rule: (typeof rules)[number]): boolean => {
    if (rule.left === 0) return false;
    if (rule.fault.rate !== null && random() >= rule.fault.rate) return false;
    if (rule.left !== null) rule.left -= 1;
    return true;
  };

  return {
    add(text) {
      rules.push(...parseFaults(text).map((fault) => ({ fault, left: fault.times })));
    },
    clear() {
      rules = [];
    },
    waiting: () => rules.filter(({ left }) => left !== 0).map(({ fault, left }) => ({ ...fault, times: left })),
    take: (operation, service) =>
      rules.find((rule) => covers(rule.fault.target, operation, service) && happens(rule))?.fault,
    takeEach(target) {
      const taken = new Map<string, Fault>();
      for (const rule of rules) {
        if (rule.fault.target !== target || taken.has(rule.fault.action)) continue;
        if (happens(rule)) taken.set(rule.fault.action, rule.fault);
      }
      return taken;
    },
  };
}

function covers(target: string, operation: string, service: string): boolean {
  return target === operation || target === service || target === 'any' || operation.startsWith(`${target}.`);
}
