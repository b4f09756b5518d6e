/** Webhook deliveries over a socket: format, signature, retries, and everything that can go wrong with them. */
import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { SimulatorOptions } from '../../src/simulator/options.ts';
import { type Received, receiver } from './receiver.ts';
import { started, uploaded } from './start.ts';

const SECRET = 'a secret of this run, which is longer than 32 bytes';

const signed = (secret: string, { body }: Received) =>
  `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
const events = (received: readonly Received[]) => received.map(({ event }) => event);

/** A simulator whose jobs take 2 s, a receiver, and a function that parses with a webhook. */
async function hooked(options: Partial<SimulatorOptions> = {}, statuses: number[] = []) {
  const hook = await receiver(statuses);
  const simulator = await started({ latency: { parse: 2_000 }, ...options });
  const file_id = await uploaded(simulator.llama, 1);
  const parse = (configuration: object = {}) =>
    simulator.llama.parsing.create({
      file_id,
      tier: 'fast',
      version: 'latest',
      disable_cache: true,
      webhook_configurations: [
        { webhook_url: hook.url, webhook_output_format: 'json', webhook_signing_secret: SECRET, ...configuration },
      ],
    });
  return { ...simulator, hook, parse };
}

describe('webhooks', () => {
  it('tell of each state, signed over the bytes they are sent as', async () => {
    const { hook, parse, clock, control } = await hooked();
    const { id } = await parse({ webhook_headers: { 'X-Tvdb': 'mine' } });
    await hook.until(1);
    await clock.advance(500);
    await hook.until(2);
    await clock.advance(1_500);
    const received = await hook.until(3);
    expect(events(received)).toEqual(['parse.pending', 'parse.running', 'parse.success']);
    const last = received[2] as Received;
    expect(last.headers).toMatchObject({
      'content-type': 'application/json',
      'user-agent': 'llamaindex-webhook-service/1.0',
      'x-webhook-event-type': 'parse.success',
      'x-tvdb': 'mine',
      'lc-signature': signed(SECRET, last),
    });
    expect(JSON.parse(last.body.toString())).toEqual({
      event_id: last.headers['x-webhook-event-id'],
      event_type: 'parse.success',
      timestamp: clock.now() / 1000,
      data: { id, job_id: id },
    });
    while (control.deliveries().length < 3) await clock.advance(0);
    expect(control.deliveries()).toMatchObject([{ jobId: id, status: 200, attempt: 1 }, {}, {}]);
  });

  it('are a JSON string that holds JSON by default, signed as it is sent', async () => {
    const { hook, parse } = await hooked();
    await parse({ webhook_output_format: undefined });
    const [first] = (await hook.until(1)) as [Received];
    const once = JSON.parse(first.body.toString());
    expect(typeof once).toBe('string');
    expect(JSON.parse(once).event_type).toBe('parse.pending');
    expect(first.headers['lc-signature']).toBe(signed(SECRET, first));
  });

  it('are unsigned without a secret and leave out events nobody asked for', async () => {
    const { hook, parse, clock } = await hooked();
    await parse({ webhook_signing_secret: undefined, webhook_events: ['parse.success'] });
    await clock.advance(2_000);
    const received = await hook.until(1);
    expect([events(received), received[0]?.headers['lc-signature']]).toEqual([['parse.success'], undefined]);
  });

  it('tell of failure, partial success and cancellation', async () => {
    const { hook, parse, clock, llama, control } = await hooked();
    const only = { webhook_events: ['parse.error', 'parse.partial_success', 'parse.cancelled'] };
    control.faults('job=failed:TIMEOUT');
    await parse(only);
    await clock.advance(2_000);
    await hook.until(1);
    const { id } = await parse(only);
    await llama.parsing.cancel(id);
    expect(events(await hook.until(2))).toEqual(['parse.error', 'parse.cancelled']);
  });

  it('are tried three times, after 1 s and 2 s, with the same event id, and then lost', async () => {
    const { hook, parse, clock, control } = await hooked({}, [500, 302, 404]);
    await parse({ webhook_events: ['parse.pending'] });
    await hook.until(1);
    while (clock.sleepers < 2) await clock.advance(0);
    await clock.advance(1_000);
    await hook.until(2);
    while (control.deliveries().length < 2) await clock.advance(0);
    await clock.advance(2_000);
    const received = await hook.until(3);
    expect(new Set(received.map(({ headers }) => headers['x-webhook-event-id'])).size).toBe(1);
    while (control.deliveries().length < 3) await clock.advance(0);
    await clock.advance(120_000);
    expect(control.deliveries().map(({ attempt, status }) => [attempt, status])).toEqual([
      [1, 500],
      [2, 302],
      [3, 404],
    ]);
    expect(received).toHaveLength(3);
  });

  it('that are taken at the second attempt are not sent a third time', async () => {
    const { hook, parse, clock, control } = await hooked({}, [503]);
    await parse({ webhook_events: ['parse.pending'] });
    await hook.until(1);
    while (clock.sleepers < 2) await clock.advance(0);
    await clock.advance(1_000);
    await hook.until(2);
    await clock.advance(60_000);
    expect(control.deliveries()).toHaveLength(2);
  });
});

describe('webhook faults', () => {
  it.each([
    ['forged', (one: Received) => one.headers['lc-signature'] !== signed(SECRET, one)],
    ['unsigned', (one: Received) => one.headers['lc-signature'] === undefined],
    [
      'uppercase',
      (one: Received) => one.headers['lc-signature']?.slice(7) === signed(SECRET, one).slice(7).toUpperCase(),
    ],
    [
      'huge',
      (one: Received) => one.body.length > 2 * 1024 * 1024 && one.headers['lc-signature'] === signed(SECRET, one),
    ],
  ])('%s', async (action, check) => {
    const { hook, parse } = await hooked({ faults: `webhook=${action}` });
    await parse({ webhook_events: ['parse.pending'] });
    const [first] = (await hook.until(1)) as [Received];
    expect(check(first)).toBe(true);
  });

  it('old-secret: signed with the secret before this one', async () => {
    const { hook, parse, control } = await hooked();
    const configuration = { webhook_events: ['parse.pending'] };
    await parse({ ...configuration, webhook_signing_secret: 'the secret of the run before' });
    await hook.until(1);
    control.faults('webhook=old-secret');
    await parse(configuration);
    const last = (await hook.until(2))[1] as Received;
    expect(last.headers['lc-signature']).toBe(signed('the secret of the run before', last));
  });

  it('missing: none at all', async () => {
    const { hook, parse, clock, control, llama } = await hooked({ faults: 'webhook=missing' });
    const { id } = await parse();
    await clock.advance(2_000);
    expect((await llama.parsing.get(id)).job.status).toBe('COMPLETED');
    expect([hook.received, control.deliveries()]).toEqual([[], []]);
  });

  it('duplicate: each of them three times, under ids of their own', async () => {
    const { hook, parse } = await hooked({ faults: 'webhook=duplicate:3' });
    await parse({ webhook_events: ['parse.pending'] });
    const received = await hook.until(3);
    expect(new Set(received.map(({ headers }) => headers['x-webhook-event-id'])).size).toBe(3);
  });

  it('early: success arrives before the create call is answered, while the job still runs', async () => {
    const { hook, parse, llama } = await hooked({ faults: 'webhook=early' });
    let answered = false;
    const creating = parse({ webhook_events: ['parse.success'] }).then((job) => {
      answered = true;
      return job;
    });
    await hook.until(1);
    expect(answered).toBe(false);
    const { id } = await creating;
    expect((await llama.parsing.get(id)).job.status).toBe('PENDING');
  });

  it('early comes even when the create call is never answered', async () => {
    const { hook, parse, log } = await hooked({ faults: 'webhook=early,parse.create=cut' });
    await expect(parse({ webhook_events: ['parse.success'] })).rejects.toThrow('Connection error');
    const [first] = (await hook.until(1)) as [Received];
    expect([JSON.parse(first.body.toString()).data.job_id]).toEqual(log().at(-1)?.made);
  });

  it('premature: success arrives when the job starts to run', async () => {
    const { hook, parse, clock, llama } = await hooked({ faults: 'webhook=premature' });
    const { id } = await parse({ webhook_events: ['parse.success'] });
    await clock.advance(500);
    await hook.until(1);
    expect((await llama.parsing.get(id)).job.status).toBe('RUNNING');
    await clock.advance(10_000);
    expect((await llama.parsing.get(id)).job.status).toBe('COMPLETED');
    expect(hook.received).toHaveLength(1);
  });

  it('late: everything later', async () => {
    const { hook, parse, clock } = await hooked({ faults: 'webhook=late:5s' });
    await parse({ webhook_events: ['parse.success'] });
    await clock.advance(6_999);
    expect(hook.received).toHaveLength(0);
    await clock.advance(1);
    await hook.until(1);
  });

  it('reorder: the end before the beginning', async () => {
    const { hook, parse, clock } = await hooked({ faults: 'webhook=reorder' });
    await parse();
    await clock.advance(2_000);
    expect(events(await hook.until(3))).toEqual(['parse.success', 'parse.running', 'parse.pending']);
  });
});
