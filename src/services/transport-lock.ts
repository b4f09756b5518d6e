/**
 * The lock of mock mode: nothing but this machine can be dialled from the process.
 *
 * It sits under every client there is (node:http, fetch, undici, any library), at the one function through which all of
 * them connect, and refuses before a name is even looked up. Guarding only our own clients was rejected: a library that
 * phones home would pass.
 */
import dgram from 'node:dgram';
import net from 'node:net';
import { TvdbError } from '../base/errors.ts';

const LOOPBACK = /^(localhost\.?|127(\.\d{1,3}){3}|::1|\[::1\]|::ffff:127(\.\d{1,3}){3})$/i;

/** Whether a host is this machine by its literal name; other names are never looked up to find out. */
export function isLoopback(host: string): boolean {
  return LOOPBACK.test(host);
}

/** Locks the process. Returns the function that opens it again. Calls may nest. */
export function lockTransport(): () => void {
  const connect = net.Socket.prototype.connect;
  const send = dgram.Socket.prototype.send;
  const lockedConnect = function (this: net.Socket, ...args: unknown[]): net.Socket {
    const target = destination(args);
    if (target !== null && !isLoopback(target)) throw refused(target);
    return Reflect.apply(connect, this, args) as net.Socket;
  };
  const lockedSend = (): never => {
    throw refused('a UDP peer');
  };
  net.Socket.prototype.connect = lockedConnect as typeof connect;
  dgram.Socket.prototype.send = lockedSend;
  return () => {
    net.Socket.prototype.connect = connect;
    dgram.Socket.prototype.send = send;
  };
}

/**
 * The host a call of `Socket.connect` is for: `(options)`, `(port, host)`, `(path)`, or the argument list Node has
 * already normalised (an array). `null` for a pipe on this machine.
 */
function destination(args: readonly unknown[]): string | null {
  const [first, second] = Array.isArray(args[0]) ? (args[0] as unknown[]) : args;
  if (first !== null && typeof first === 'object') {
    const { path, host } = first as { path?: unknown; host?: unknown };
    return typeof path === 'string' ? null : typeof host === 'string' && host !== '' ? host : 'localhost';
  }
  if (typeof first === 'string' && !/^\d+$/.test(first)) return null;
  return typeof second === 'string' ? second : 'localhost';
}

function refused(target: string): TvdbError {
  return new TvdbError('E901', {
    message: `A connection to ${target} was refused`,
    why: 'in mock mode nothing may leave this machine',
    facts: { target },
  });
}
