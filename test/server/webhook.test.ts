import { gzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { signature } from '../../src/domain/webhook.ts';
import type { Store } from '../../src/store/open.ts';
import { openStore } from '../../src/store/open.ts';
import { addJob } from '../setup/jobs.ts';
import { countingIds, seededRandom } from '../setup/seeded.ts';
import { dial, ended, listening, SECRET, statusOf } from './listener-place.ts';

const OTHER = 'c0ffee00112233445566778899aabbccddeeff0123456789fedcba9876543210';

describe('a delivery', () => {
  it('that is genuine is kept, acknowledged and told of', async () => {
    const { send, post, envelope, rows, deliveries } = await listening();
    const answer = await send(post(envelope()));
    expect(statusOf(answer)).toBe(200);
    expect(await rows()).toMatchObject([
      { event_id: 'event-1', remote_job_id: 'parse-1', event_type: 'parse.success', handled_at: null },
    ]);
    expect(deliveries()).toBe(1);
  });

  it('T40 in either format is genuine, and nothing that was changed is', async () => {
    const { send, post, envelope, rows, deliveries, logged, store } = await listening();
    const job = await addJob(store, countingIds());
    const random = seededRandom(40);
    const body = envelope();
    const right = signature(SECRET, Buffer.from(body));
    const answers: string[] = [];
    const forms = [
      (text: string) => text.toUpperCase(),
      (text: string) => text.slice(0, Math.floor(random() * text.length)),
      (text: string) => text.replace('sha256', 'sha1'),
      (text: string) => `sha256=a, ${text}`,
      (text: string) => `${text}\r\nLC-Signature: ${text}`,
      (text: string) => text.replace(/.$/, (last) => (last === '0' ? '1' : '0')),
      (text: string) => `${text};`,
    ];
    for (let turn = 0; turn < 140; turn += 1) {
      const form = forms[turn % forms.length] as (text: string) => string;
      answers.push(await send(post(body, { signed: form(right) })));
      const changed = Buffer.from(body);
      const at = Math.floor(random() * changed.length);
      changed[at] = (changed[at] ?? 0) ^ (1 << Math.floor(random() * 8));
      answers.push(await send(post(changed, { signed: right })));
    }
    expect(answers.filter((answer) => statusOf(answer) !== 401)).toEqual([]);
    expect([await rows(), deliveries()]).toEqual([[], 0]);
    expect(await store.db.selectFrom('upload_jobs').selectAll().execute()).toEqual([job]);
    expect(statusOf(await send(post(body)))).toBe(200);
    expect(statusOf(await send(post(JSON.stringify(envelope()))))).toBe(200);
    expect(await rows()).toHaveLength(2);
    // The clock stands still: all 280 fall into one second, and one line of the log.
    expect(logged).toHaveLength(1);
  });

  it('T40 with a header of a megabyte is refused unread', async () => {
    const { send, post, envelope, rows } = await listening();
    expect([0, 431]).toContain(statusOf(await send(post(envelope(), { signed: `sha256=${'a'.repeat(1_000_000)}` }))));
    expect(await rows()).toEqual([]);
  });

  it('T41 is taken with a length and in chunks, split at every byte', async () => {
    const { send, post, envelope, rows } = await listening();
    const body = envelope();
    const whole = post(body);
    for (let at = 1; at < whole.length; at += 1)
      expect(statusOf(await send(whole.subarray(0, at), whole.subarray(at)))).toBe(200);
    for (let at = 1; at < body.length; at += 1) {
      const parts = [body.slice(0, at), body.slice(at)].map((part) => `${part.length.toString(16)}\r\n${part}\r\n`);
      const head = post('', { signed: signature(SECRET, Buffer.from(body)), head: ['Transfer-Encoding: chunked'] });
      expect(statusOf(await send(Buffer.concat([head, Buffer.from(`${parts.join('')}0\r\n\r\n`)])))).toBe(200);
    }
    expect(await rows()).toHaveLength(1);
  });

  it('T43 of an earlier run is refused by the next one, whose secret is another', async () => {
    const earlier = await listening();
    const body = earlier.envelope();
    const { send, post, rows } = await listening({ secrets: [OTHER] });
    expect(statusOf(await send(post(body, { signed: signature(SECRET, Buffer.from(body)) })))).toBe(401);
    expect(await rows()).toEqual([]);
  });

  it('T43 is not taken by a listener without a proper secret: it does not start', async () => {
    for (const secret of ['', ' ', '12345678', undefined as unknown as string])
      await expect(listening({ secrets: [secret] })).rejects.toMatchObject({ code: 'E602' });
  });

  it('T43 replayed 301 s later is refused, and replayed in time under another header it is the same', async () => {
    const { send, post, envelope, rows, clock, deliveries } = await listening();
    const body = envelope();
    expect(statusOf(await send(post(body)))).toBe(200);
    await clock.advance(299_000);
    const head = ['X-Webhook-Event-ID: another', `Content-Length: ${body.length}`];
    expect(statusOf(await send(post(body, { head })))).toBe(200);
    await clock.advance(2_000);
    expect(statusOf(await send(post(body)))).toBe(401);
    expect([(await rows()).length, deliveries()]).toEqual([1, 1]);
  });

  it('T43 dated wrongly changes nothing', async () => {
    const { send, post, envelope, rows, clock } = await listening();
    for (const timestamp of [clock.now() / 1000 - 301, clock.now(), null, 'NaN'])
      expect(statusOf(await send(post(envelope({ timestamp }))))).toBe(401);
    expect(await rows()).toEqual([]);
  });

  it('T44 sent 100 times, 8 at a time, is one row and 100 acknowledgements', async () => {
    const { send, post, envelope, rows, deliveries } = await listening();
    const body = envelope();
    const statuses: number[] = [];
    const hands = Array.from({ length: 8 }, async (_none, hand) => {
      for (let turn = hand; turn < 100; turn += 8) statuses.push(statusOf(await send(post(body))));
    });
    await Promise.all(hands);
    expect(statuses).toEqual(Array(100).fill(200));
    expect([(await rows()).length, deliveries()]).toEqual([1, 1]);
  });

  it('about a job that nobody knows is kept and changes nothing', async () => {
    const { send, post, envelope, rows, store } = await listening();
    const job = await addJob(store, countingIds());
    expect(statusOf(await send(post(envelope({ data: { id: 'stranger' } }))))).toBe(200);
    expect(await rows()).toHaveLength(1);
    expect(await store.db.selectFrom('upload_jobs').selectAll().execute()).toEqual([job]);
  });
});

describe('T45 the order of verifying, keeping and acknowledging', () => {
  /** What another connection to the store sees at the moment the acknowledgement arrives. */
  async function keptAtReply(change: (store: Store) => Pick<Store, 'write' | 'db'>): Promise<number> {
    const home = `${(await listening()).home}-2`;
    const own = openStore({ home });
    const seen = openStore({ home });
    onTestFinished(async () => {
      await own.close();
      await seen.close();
    });
    const { send, post, envelope } = await listening({ store: change(own) });
    expect(statusOf(await send(post(envelope())))).toBe(200);
    return (await seen.db.selectFrom('webhook_inbox').selectAll().execute()).length;
  }

  it('is that the row is committed when the answer arrives', async () => {
    expect(await keptAtReply((store) => store)).toBe(1);
  });

  it('is told from a version that acknowledges first', async () => {
    const late = (store: Store): Pick<Store, 'write' | 'db'> => ({
      db: store.db,
      // Commits only when the answer is long out.
      write: async () => 'new' as never,
    });
    expect(await keptAtReply(late)).toBe(0);
  });

  it('never begins with a write: what is forged does not reach the store', async () => {
    let writes = 0;
    const counting = (store: Store): Pick<Store, 'write' | 'db'> => ({
      db: store.db,
      write: (work) => {
        writes += 1;
        return store.write(work);
      },
    });
    const base = await listening();
    const { send, post, envelope } = await listening({ store: counting(base.store) });
    await send(post(envelope(), { signed: `sha256=${'0'.repeat(64)}` }));
    expect(writes).toBe(0);
    await send(post(envelope()));
    expect(writes).toBe(1);
  });

  it('makes a delivery that could not be kept one that is sent again', async () => {
    const base = await listening();
    const full = { db: base.store.db, write: () => Promise.reject(new Error('the disk is full')) };
    const { send, post, envelope, deliveries } = await listening({ store: full });
    const answer = await send(post(envelope()));
    expect([statusOf(answer), deliveries()]).toEqual([503, 0]);
    expect(answer).not.toContain('disk');
  });

  it('makes a delivery whose sender was cut off before the answer a no-op when it comes again', async () => {
    const { listener, send, post, envelope, rows } = await listening();
    const body = post(envelope());
    const socket = await dial(listener.port);
    await new Promise((resolve) => socket.write(body, resolve));
    socket.destroy();
    await ended(socket);
    expect(statusOf(await send(body))).toBe(200);
    expect(await rows()).toHaveLength(1);
  });
});

describe('T46 a refusal', () => {
  it('says the same whatever is wrong, and the log tells neither body nor signature', async () => {
    const { send, post, envelope, logged, clock, listener } = await listening();
    const wrong = `sha256=${'ab'.repeat(32)}`;
    const answers = [
      await send(post(envelope(), { signed: wrong })),
      await send(post(envelope(), { signed: '' })),
      await send(post('no json at all')),
      await send(post(envelope({ timestamp: 1 }))),
      await send(post(envelope({ event_type: 'other' }))),
      await send(post('')),
    ].map((answer) => answer.replace(/\r\nDate: [^\r]+/i, ''));
    expect(new Set(answers).size).toBe(1);
    expect(statusOf(answers[0] ?? '')).toBe(401);
    expect(logged).toEqual([{ level: 'warn', event: 'WEBHOOK_REJECTED', fields: { count: 1, reasons: ['forged'] } }]);
    await clock.advance(1_000);
    await send(post('genuine and no envelope'));
    expect(logged[1]?.fields).toEqual({ count: 6, reasons: ['forged', 'malformed', 'stale'] });
    await send(post(envelope(), { signed: wrong }));
    await listener.close();
    expect(logged[2]?.fields).toEqual({ count: 1, reasons: ['forged'] });
    const text = JSON.stringify(logged);
    for (const secret of ['abab', 'event-', 'envelope', 'parse-', SECRET]) expect(text).not.toContain(secret);
  });
});

describe('T61 the body of a delivery', () => {
  /** A genuine envelope of exactly so many bytes. */
  const padded = (envelope: () => string, bytes: number) => {
    const body = envelope();
    return body.replace('{', `{${' '.repeat(bytes - body.length)}`);
  };

  it('has 64 KiB at most', async () => {
    const { send, post, envelope, rows } = await listening();
    expect(statusOf(await send(post(padded(envelope, 65_536))))).toBe(200);
    expect(statusOf(await send(post(padded(envelope, 65_537))))).toBe(413);
    expect(await rows()).toHaveLength(1);
  });

  it('is cut off at that in chunks without a length, however much would come', async () => {
    const { listener, path, host, rows } = await listening();
    const socket = await dial(listener.port);
    let answer = '';
    let sent = 0;
    socket.on('data', (part) => {
      answer += part.toString('latin1');
    });
    socket.write(`POST ${path} HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n`);
    const chunk = Buffer.concat([Buffer.from('4000\r\n'), Buffer.alloc(0x4000, 32), Buffer.from('\r\n')]);
    const before = process.memoryUsage().rss;
    while (!socket.destroyed && sent < 1e9) {
      sent += chunk.length;
      if (!socket.write(chunk))
        await new Promise((resolve) => {
          socket.once('drain', resolve);
          socket.once('close', resolve);
        });
    }
    await ended(socket);
    expect(statusOf(answer)).toBe(413);
    expect(sent).toBeLessThan(100e6);
    expect(process.memoryUsage().rss - before).toBeLessThan(100e6);
    expect(await rows()).toEqual([]);
  });

  it('is refused before a byte of it when its length is too large, also to those who ask first', async () => {
    const { send, path, host } = await listening();
    const head = (extra: string) => `POST ${path} HTTP/1.1\r\nHost: ${host}\r\n${extra}\r\n\r\n`;
    expect(statusOf(await send(head('Content-Length: 10000000000')))).toBe(413);
    const answer = await send(head('Content-Length: 70000\r\nExpect: 100-continue'));
    expect(answer).toMatch(/^HTTP\/1\.1 413/);
  });

  it('is asked for when its sender waits to be asked', async () => {
    const { listener, post, envelope } = await listening();
    const body = envelope();
    const bytes = post(body, { head: ['Expect: 100-continue', `Content-Length: ${body.length}`] });
    const socket = await dial(listener.port);
    let answer = '';
    socket.write(bytes.subarray(0, bytes.length - body.length));
    await new Promise<void>((resolve) => {
      socket.on('data', (part) => {
        answer += part.toString('latin1');
        if (answer.includes('100 Continue')) resolve();
      });
    });
    socket.write(body);
    await ended(socket);
    expect(answer).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200/);
  });

  it.each([
    ['two lengths', 'Content-Length: 5\r\nContent-Length: 6', 400],
    ['a length and chunks', 'Content-Length: 5\r\nTransfer-Encoding: chunked', 400],
    ['a length that is no number', 'Content-Length: -5', 400],
    ['another transfer encoding', 'Transfer-Encoding: gzip', 0],
  ])('is refused with %s', async (_what, header, status) => {
    const { send, path, host, rows } = await listening();
    const answer = await send(`POST ${path} HTTP/1.1\r\nHost: ${host}\r\n${header}\r\nConnection: close\r\n\r\nhello`);
    expect(statusOf(answer)).toBe(status);
    expect(await rows()).toEqual([]);
  });

  it('is refused without any length', async () => {
    const { send, path, host, rows } = await listening();
    const answer = await send(`POST ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    expect(statusOf(answer)).toBe(411);
    expect(await rows()).toEqual([]);
  });

  it('is never unpacked', async () => {
    const { send, post, envelope, rows } = await listening();
    const bomb = gzipSync(Buffer.from(envelope().padEnd(10_000_000)));
    const head = [`Content-Length: ${bomb.length}`, 'Content-Encoding: gzip'];
    expect(statusOf(await send(post(bomb, { head })))).toBe(415);
    expect(await rows()).toEqual([]);
  });

  it('that is longer than its length says ends its connection, and nobody else is hurt', async () => {
    const { send, post, envelope, rows } = await listening();
    const body = envelope();
    const answer = await send(post(`${body.slice(1)}`, { signed: 'sha256=' }), 'more than was said');
    expect([0, 401]).toContain(statusOf(answer));
    expect(await rows()).toEqual([]);
    expect(statusOf(await send(post(body)))).toBe(200);
  });
});
