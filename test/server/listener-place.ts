/** A public-facing listener over a store of its own, and peers that send it exactly the bytes a test wants. */
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { LogFields } from '../../src/base/log.ts';
import { signature } from '../../src/domain/webhook.ts';
import type { HttpLimits } from '../../src/server/http-server.ts';
import { type ListenerOptions, startListener } from '../../src/server/listener.ts';
import { openStorage } from '../../src/storage/local.ts';
import { openStore } from '../../src/store/open.ts';
import { countingIds } from '../setup/seeded.ts';
import { tempDirectory } from '../setup/temp.ts';
import { virtualClock } from '../setup/virtual-clock.ts';

export const SECRET = '3f1c9a5e7b2d4068a1c3e5f7092b4d6e8f0a1b2c3d4e5f60718293a4b5c6d7e8';
export const KEY = Buffer.alloc(32, 7);

/** A listener on a virtual clock. Node's own timers for slow peers run in real time, so `limits` may be short. */
export async function listening(
  changes: Partial<ListenerOptions> = {},
  limits: Partial<HttpLimits> = {},
  home = join(tempDirectory(), 'home'),
) {
  const store = openStore({ home });
  const storage = openStorage(home);
  const clock = virtualClock();
  const logged: { level: string; event: string; fields: LogFields | undefined }[] = [];
  let deliveries = 0;
  const options: ListenerOptions = {
    store,
    storage,
    signingKey: KEY,
    clock,
    ids: countingIds('abcd'),
    log: (level, event, fields) => void logged.push({ level, event, fields }),
    secrets: [SECRET],
    publicUrl: undefined,
    port: 0,
    onDelivery: () => {
      deliveries += 1;
    },
    limits,
    ...changes,
  };
  const listener = await startListener(options);
  onTestFinished(async () => {
    await listener.close();
    await store.close();
  });
  const path = new URL(listener.localTarget().url).pathname;
  const host = `127.0.0.1:${listener.port}`;
  let events = 0;
  /** The text of a fresh envelope. */
  const envelope = (fields: Record<string, unknown> = {}) => {
    events += 1;
    return JSON.stringify({
      event_id: `event-${events}`,
      event_type: 'parse.success',
      timestamp: clock.now() / 1000,
      data: { id: `parse-${events}`, job_id: `parse-${events}` },
      ...fields,
    });
  };
  /** The bytes of a signed POST. */
  const post = (
    body: Buffer | string,
    { signed = signature(SECRET, Buffer.from(body)), head = [] as string[], to = path, at = host } = {},
  ) =>
    Buffer.concat([
      Buffer.from(
        [
          `POST ${to} HTTP/1.1`,
          `Host: ${at}`,
          'Content-Type: application/json',
          `LC-Signature: ${signed}`,
          ...(head.length > 0 ? head : [`Content-Length: ${Buffer.byteLength(body)}`]),
          'Connection: close',
          '',
          '',
        ].join('\r\n'),
        'latin1',
      ),
      Buffer.from(body),
    ]);
  const rows = () => store.db.selectFrom('webhook_inbox').selectAll().execute();
  return {
    store,
    storage,
    home,
    clock,
    logged,
    listener,
    path,
    host,
    envelope,
    post,
    rows,
    options,
    deliveries: () => deliveries,
    /** Sends bytes, in these parts, and resolves with everything that comes back until the connection ends. */
    send: (...parts: (Buffer | string)[]) => exchange(listener.port, parts),
  };
}

/** Opens a connection; errors of it are of no interest to its test. */
export function dial(port: number): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.on('error', () => {});
    // The end of a connection is not told to who does not read.
    socket.resume();
    socket.once('connect', () => resolve(socket));
    socket.once('close', () => resolve(socket));
  });
}

/** Resolves when a connection has ended. */
export function ended(socket: Socket): Promise<void> {
  return socket.destroyed ? Promise.resolve() : new Promise((resolve) => socket.once('close', () => resolve()));
}

async function exchange(port: number, parts: readonly (Buffer | string)[]): Promise<string> {
  const socket = await dial(port);
  const received: Buffer[] = [];
  socket.on('data', (part) => received.push(part));
  for (const part of parts) {
    // Each part in a packet of its own, as far as a local connection has packets.
    await new Promise((resolve) => socket.write(part, resolve));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await ended(socket);
  return Buffer.concat(received).toString('latin1');
}

/** The status of an answer, 0 when there is none. */
export const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0);
