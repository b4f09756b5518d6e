import { createServer } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ParsedPage } from '../../src/domain/parsed-page.ts';
import { isGenuine } from '../../src/domain/webhook.ts';
import { createMockParse, type MockParseOptions } from '../../src/services/parse/mock.ts';
import type { WebhookTarget } from '../../src/services/parse/port.ts';
import { lockTransport } from '../../src/services/transport-lock.ts';
import { wakeDelivered } from '../../src/store/inbox.ts';
import { pipeline } from '../pipeline/harness.ts';
import { virtualClock } from '../setup/virtual-clock.ts';
import { listening, SECRET } from './listener-place.ts';

const PAGES: ParsedPage[] = [1, 2, 3].map((number) => ({ number, markdown: `# Page ${number}\n\ntext ${number}` }));
const never = new AbortController().signal;
const request = { documentId: 'd', path: '/nowhere', fileSha256: '0'.repeat(64), mime: 'application/pdf', pages: 3 };
const attempt = { attemptId: 'a1', jobId: 'j', correlationId: 'c' };

function mock(changes: Partial<MockParseOptions>) {
  const service = createMockParse({
    pool: { extract: async () => PAGES },
    clock: virtualClock(),
    random: () => 0.5,
    latencyMs: 0,
    perPageLatencyMs: 0,
    failureRate: 0,
    ...changes,
  });
  onTestFinished(() => service.close());
  return service;
}

/** A receiver that answers with the next of these statuses, and what it got. */
async function receiver(statuses: number[]) {
  const received: { body: Buffer; headers: Record<string, unknown> }[] = [];
  const server = createServer((message, response) => {
    const parts: Buffer[] = [];
    message.on('data', (part) => parts.push(part));
    message.on('end', () => {
      received.push({ body: Buffer.concat(parts), headers: message.headers });
      response.statusCode = statuses.shift() ?? 200;
      response.end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as { port: number };
  const target: WebhookTarget = { url: `http://127.0.0.1:${port}/hook`, secret: SECRET };
  return { received, target };
}

describe('the mock parser as a service elsewhere', () => {
  it('never lets anybody wait, and does not claim to run here', async () => {
    const clock = virtualClock();
    const service = mock({ remote: true, clock, latencyMs: 1_000 });
    expect(service.runsHere).toBe(false);
    const { remoteId } = await service.submit(request, attempt, never);
    expect(await service.poll(remoteId, 15_000, never)).toEqual({ state: 'running' });
    await clock.advance(1_000);
    expect(await service.poll(remoteId, 15_000, never)).toEqual({ state: 'done' });
    expect(mock({}).runsHere).toBe(true);
  });

  it('announces the end of a parse like the real service: signed, with ids only', async () => {
    const { received, target } = await receiver([]);
    const clock = virtualClock();
    const { remoteId } = await mock({ clock, webhook: () => target }).submit(request, attempt, never);
    await expect.poll(() => received.length).toBe(1);
    const [{ body, headers } = { body: Buffer.alloc(0), headers: {} as Record<string, unknown> }] = received;
    expect(isGenuine(String(headers['lc-signature']), body, [SECRET])).toBe(true);
    expect(JSON.parse(body.toString())).toEqual({
      event_id: headers['x-webhook-event-id'],
      event_type: 'parse.success',
      timestamp: clock.now() / 1000,
      data: { id: remoteId, job_id: remoteId },
    });
  });

  it('announces a failure, and nothing of a parse that was cancelled', async () => {
    const { received, target } = await receiver([]);
    const failing = mock({ webhook: () => target, pool: { extract: async () => Promise.reject(new Error('broken')) } });
    const hanging = mock({
      webhook: () => target,
      pool: {
        extract: (_path, _pages, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', reject)),
      },
    });
    const { remoteId } = await hanging.submit(request, { ...attempt, attemptId: 'a2' }, never);
    await hanging.cancel(remoteId, never);
    await failing.submit(request, attempt, never);
    await expect.poll(() => received.length).toBe(1);
    expect(JSON.parse(received[0]?.body.toString() ?? '')).toMatchObject({ event_type: 'parse.error' });
  });

  it('tries three times, after one and two seconds, always with the same event', async () => {
    const { received, target } = await receiver([500, 503, 500, 200]);
    const clock = virtualClock();
    await mock({ clock, webhook: () => target }).submit(request, attempt, never);
    await expect.poll(() => received.length).toBe(1);
    await expect.poll(() => clock.sleepers).toBe(1);
    await clock.advance(999);
    expect(received).toHaveLength(1);
    await clock.advance(1);
    await expect.poll(() => received.length).toBe(2);
    await expect.poll(() => clock.sleepers).toBe(1);
    await clock.advance(2_000);
    await expect.poll(() => received.length).toBe(3);
    await clock.advance(60_000);
    expect(new Set(received.map(({ body }) => body.toString())).size).toBe(1);
    expect([received.length, clock.sleepers]).toEqual([3, 0]);
  });

  it('delivers nothing beyond this machine, and does not mind', async () => {
    const unlock = lockTransport();
    onTestFinished(unlock);
    const clock = virtualClock();
    const service = mock({ clock, webhook: () => ({ url: 'https://tunnel.example/hook', secret: SECRET }) });
    const { remoteId } = await service.submit(request, attempt, never);
    for (const pause of [1_000, 2_000]) {
      await expect.poll(() => clock.sleepers).toBe(1);
      await clock.advance(pause);
    }
    expect(await service.poll(remoteId, 0, never)).toEqual({ state: 'done' });
  });

  it('ends its deliveries when it is closed', async () => {
    const { received, target } = await receiver([500, 500, 500]);
    const clock = virtualClock();
    const service = mock({ clock, webhook: () => target });
    await service.submit(request, attempt, never);
    await expect.poll(() => clock.sleepers).toBe(1);
    await service.close();
    expect([received.length, clock.sleepers]).toEqual([1, 0]);
  });
});

describe('a parse whose end arrives by webhook', () => {
  it('parks its job until the delivery wakes it, long before the next look would come', async () => {
    const place = await listening();
    let finish = (_pages: ParsedPage[]) => {};
    const extracted = new Promise<ParsedPage[]>((resolve) => {
      finish = resolve;
    });
    const { clock } = place;
    const parser = mock({
      remote: true,
      clock,
      webhook: () => place.listener.localTarget(),
      pool: { extract: () => extracted },
    });
    const { store, upload, drain, jobs } = pipeline({ parser, clock, home: place.home, settings: { DRAIN_WAIT: 1 } });
    await upload('one');
    await drain();
    const [parked] = await jobs();
    expect(parked).toMatchObject({ status: 'parse_queued', park_reason: 'awaiting_result' });
    finish(PAGES);
    await expect.poll(place.deliveries).toBe(1);
    const before = clock.now();
    expect(await store.write((trx) => wakeDelivered(trx, before))).toEqual([parked?.job_id]);
    await drain();
    expect(await jobs()).toMatchObject([{ status: 'complete' }]);
    expect(clock.now()).toBe(before);
    expect(parked?.run_after).toBeGreaterThan(before);
  });
});
