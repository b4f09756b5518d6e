/**
 * The lock of mock mode: nothing but this machine can be dialled or asked for by name from the process.
 *
 * It sits under every client there is (node:http, fetch, undici, any library), at the few functions through which all of
 * them connect, send and look names up, and refuses before a name leaves. Guarding only our own clients was rejected: a
 * library that phones home would pass. Worker threads have modules of their own and would pass too; tvdb starts none.
 */
import dgram from 'node:dgram';
import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import { TvdbError } from '../base/errors.ts';

const LOOPBACK = /^(localhost\.?|127(\.\d{1,3}){3}|::1|\[::1\]|::ffff:127(\.\d{1,3}){3})$/i;

/** Functions of the resolver (c-ares) that send a question to a name server, whatever is asked. */
const RESOLVES = /^(resolve|reverse$)/;

type Callable = (this: unknown, ...args: unknown[]) => unknown;
type Owner = Record<string, Callable>;

let locks = 0;
let restore = () => {};

/**
 * Locks the process. Returns the function that opens it again; calling that twice does no harm. Locks may overlap in any
 * order: the process is open again when the last of them is. What is refused is an E901.
 */
export function lockTransport(): () => void {
  if (locks === 0) restore = install();
  locks += 1;
  let open = false;
  return () => {
    if (open) return;
    open = true;
    locks -= 1;
    if (locks === 0) restore();
  };
}

function install(): () => void {
  const undo: (() => void)[] = [];
  const guard = (
    owner: object,
    name: string,
    check: (args: readonly unknown[]) => void,
    refuseBy: 'throw' | 'reject',
  ) => {
    const methods = owner as Owner;
    const original = methods[name];
    if (original === undefined) return;
    const guarded: Callable = function (...args) {
      try {
        // Somebody who took this function while the process was locked may keep it for longer.
        if (locks > 0) check(args);
      } catch (refusal) {
        if (refuseBy === 'reject') return Promise.reject(refusal);
        throw refusal;
      }
      return Reflect.apply(original, this, args);
    };
    methods[name] = guarded;
    undo.push(() => {
      // Whoever put another function over ours keeps it; through ours everything passes from now on.
      if (methods[name] === guarded) methods[name] = original;
    });
  };
  guard(net.Socket.prototype, 'connect', refuseForeignSocket, 'throw');
  for (const name of ['send', 'connect']) guard(dgram.Socket.prototype, name, () => refuse('a UDP peer'), 'throw');
  const resolvers = [dns, dns.Resolver.prototype].map((owner) => [owner, 'throw'] as const);
  const promised = [dns.promises, dns.promises.Resolver.prototype].map((owner) => [owner, 'reject'] as const);
  for (const [owner, refuseBy] of [...resolvers, ...promised]) {
    for (const name of Object.getOwnPropertyNames(owner)) {
      if (RESOLVES.test(name)) guard(owner, name, () => refuse('a name server'), refuseBy);
    }
    for (const name of ['lookup', 'lookupService']) guard(owner, name, ([host]) => refuseForeign(host), refuseBy);
  }
  syncBuiltinESMExports();
  return () => {
    for (const one of undo) one();
    syncBuiltinESMExports();
  };
}

/**
 * Refuses a call of `Socket.connect` that would not stay here. It is `(options)`, `(port, host)`, `(path)`, or the
 * argument list Node has already normalised, an array marked by a symbol of its own; unmarked, Node takes the array for
 * the options. Truthiness decides where Node lets it decide: an empty path is no pipe, an empty host is localhost.
 */
function refuseForeignSocket(args: readonly unknown[]): void {
  const [first, second] = args;
  if (Array.isArray(first)) refuseForeignOptions(first[0]);
  if (first !== null && typeof first === 'object') refuseForeignOptions(first);
  else if (!isPipeName(first) && typeof second === 'string') refuseForeign(second);
}

function refuseForeignOptions(options: unknown): void {
  if (options === null || typeof options !== 'object') return;
  const { path, host, lookup } = options as { path?: unknown; host?: unknown; lookup?: unknown };
  if (path) return;
  // A name of this machine may be given any address by a function of the caller's own.
  if (lookup !== undefined && lookup !== null && lookup !== dns.lookup) refuse('an address of its own choice');
  refuseForeign(host);
}

/** Node takes a text for the name of a pipe unless it is a number, in any notation (`0x50` is port 80). */
function isPipeName(value: unknown): boolean {
  return typeof value === 'string' && !(Number(value) >= 0);
}

/** Other names than the literal ones of this machine are never looked up to find out where they lead. */
function refuseForeign(host: unknown): void {
  if (!host) return;
  if (typeof host !== 'string') refuse('a host that is no text');
  else if (!LOOPBACK.test(host)) refuse(host);
}

function refuse(target: string): never {
  throw new TvdbError('E901', {
    message: `A connection to ${target} was refused`,
    why: 'in mock mode nothing may leave this machine',
    facts: { target },
  });
}
