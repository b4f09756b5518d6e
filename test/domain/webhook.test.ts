import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkSecrets, isEndEvent, isGenuine, readDelivery, signature } from '../../src/domain/webhook.ts';
import { seededRandom } from '../setup/seeded.ts';

const SECRET = '3f1c9a5e7b2d4068a1c3e5f7092b4d6e8f0a1b2c3d4e5f60718293a4b5c6d7e8';
const OTHER = 'c0ffee00112233445566778899aabbccddeeff0123456789fedcba9876543210';
const NOW = Date.UTC(2026, 10, 23, 12);

const envelope = (changes: Record<string, unknown> = {}) => ({
  event_id: '0b5f2f4e-6c1d-4a57-9f7e-2f1f6f0d8a11',
  event_type: 'parse.success',
  timestamp: NOW / 1000,
  data: { id: 'pjb-1', job_id: 'pjb-1' },
  ...changes,
});
const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));
const read = (changes: Record<string, unknown>) => readDelivery(bytes(envelope(changes)), NOW);

describe('the signature of a delivery', () => {
  it('is the construction whose test vector GitHub publishes: hex of HMAC-SHA256 over the body', () => {
    const expected = 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17';
    expect(signature("It's a Secret to Everybody", Buffer.from('Hello, World!'))).toBe(expected);
    expect(isGenuine(expected, Buffer.from('Hello, World!'), ["It's a Secret to Everybody"])).toBe(true);
  });

  it('T40 is right for no other bytes and in no other form', () => {
    const random = seededRandom(40);
    const body = bytes(envelope());
    const genuine = signature(SECRET, body);
    const digit = (text: string) => text.replace(/[0-9]/, (found) => String.fromCodePoint(0xff10 + Number(found)));
    const forms: ((text: string) => string)[] = [
      (text) => flip(text, Math.floor(random() * text.length), 1 + Math.floor(random() * 127)),
      (text) => text.slice(0, Math.floor(random() * text.length)),
      (text) => text.toUpperCase(),
      (text) => `sha256=${text.slice(7).toUpperCase()}`,
      (text) => ` ${text}`,
      (text) => `${text} `,
      (text) => `${text}\n`,
      (text) => text.replace('sha256', 'sha1'),
      (text) => text.replace('sha256', 'sha512'),
      (text) => text.slice(7),
      (text) => `${text}, ${text}`,
      (text) => `sha256=${'0'.repeat(64)}, ${text}`,
      (text) => `${text}${text}`,
      digit,
      () => '',
      () => 'sha256=',
      () => `sha256=${'a'.repeat(1_000_000)}`,
    ];
    let accepted = 0;
    for (let turn = 0; turn < 10_000; turn += 1) {
      const form = forms[turn % forms.length] as (text: string) => string;
      const header = form(genuine);
      if (header !== genuine && isGenuine(header, body, [SECRET, OTHER])) accepted += 1;
      const at = Math.floor(random() * body.length);
      const changed = turn % 3 === 0 ? body.subarray(0, at) : Buffer.from(body);
      if (turn % 3 !== 0) changed[at] = (changed[at] ?? 0) ^ (1 << Math.floor(random() * 8));
      if (isGenuine(genuine, changed, [SECRET, OTHER])) accepted += 1;
    }
    expect(accepted).toBe(0);
    expect(isGenuine(undefined, body, [SECRET])).toBe(false);
    expect(isGenuine(genuine, body, [OTHER])).toBe(false);
    expect(isGenuine(genuine, body, [])).toBe(false);
  });

  it('T40 would be found wanting if it compared the beginning only, or ignored case', () => {
    const body = bytes(envelope());
    const genuine = signature(SECRET, body);
    const lenient = (header: string) => genuine.startsWith(header.toLowerCase().slice(0, 20));
    const forged = flip(genuine, genuine.length - 1, 1);
    expect([lenient(forged), isGenuine(forged, body, [SECRET])]).toEqual([true, false]);
    const upper = `sha256=${genuine.slice(7).toUpperCase()}`;
    expect([lenient(upper), isGenuine(upper, body, [SECRET])]).toEqual([true, false]);
  });

  it('is valid under each of several secrets while they are rotated', () => {
    const body = bytes(envelope());
    for (const secret of [SECRET, OTHER]) expect(isGenuine(signature(secret, body), body, [SECRET, OTHER])).toBe(true);
  });

  it('T41 is over the bytes: an equal document written differently is not signed', () => {
    const value = envelope();
    const body = bytes(value);
    const genuine = signature(SECRET, body);
    const random = seededRandom(41);
    const space = () => [' ', '\n', '\t', '  '][Math.floor(random() * 4)] ?? ' ';
    let different = 0;
    for (let turn = 0; turn < 1_000; turn += 1) {
      const entries = Object.entries(value).sort(() => random() - 0.5);
      const inner = entries.map(([key, one]) => `${JSON.stringify(key)}:${space()}${JSON.stringify(one)}`);
      let text = `{${inner.join(`,${space()}`)}}`;
      if (turn % 4 === 1) text = `\ufeff${JSON.stringify(value)}`;
      if (turn % 4 === 2) text = `${JSON.stringify(value)}${'\n'.repeat(1 + (turn % 7))}`;
      if (turn % 4 === 3) text = JSON.stringify(value).replace('parse', `\\u0070${'arse'}`) + ' '.repeat(turn % 11);
      expect(JSON.parse(text.replace('\ufeff', ''))).toEqual(value);
      if (Buffer.from(text).equals(body)) continue;
      different += 1;
      expect(isGenuine(genuine, Buffer.from(text), [SECRET])).toBe(false);
    }
    expect(different).toBe(1_000);
  });

  it('T42 tells bytes apart that are the same text once decoded', () => {
    const [one, two] = [Buffer.from([0x7b, 0xff, 0x7d]), Buffer.from([0x7b, 0xfe, 0x7d])];
    expect(one.toString('utf8')).toBe(two.toString('utf8'));
    expect([
      isGenuine(signature(SECRET, one), one, [SECRET]),
      isGenuine(signature(SECRET, one), two, [SECRET]),
    ]).toEqual([true, false]);
    // What a receiver does that decodes first: it takes one for the other.
    const decoding = (body: Buffer) => createHmac('sha256', SECRET).update(body.toString('utf8')).digest('hex');
    expect(decoding(one)).toBe(decoding(two));
  });
});

describe('the secret of the webhook', () => {
  it('T43 must be there, long and random', () => {
    const weak = ['', ' ', ' '.repeat(64), 'a'.repeat(32), '12345678', 'x'.repeat(31), undefined as unknown as string];
    for (const secret of weak) expect(() => checkSecrets([SECRET, secret])).toThrow(/too weak/);
    expect(() => checkSecrets([])).toThrow(/too weak/);
    expect(() => checkSecrets([SECRET, OTHER])).not.toThrow();
  });
});

describe('the body of a delivery', () => {
  const expected = { eventId: envelope().event_id, event: 'parse.success', remoteJobId: 'pjb-1' };

  it('is read as JSON and as a JSON string that holds JSON', () => {
    expect(readDelivery(bytes(envelope()), NOW)).toEqual(expected);
    expect(readDelivery(bytes(JSON.stringify(envelope())), NOW)).toEqual(expected);
    expect(readDelivery(bytes(JSON.stringify(JSON.stringify(envelope()))), NOW)).toEqual({ refused: 'malformed' });
  });

  it('names the parse by data.job_id, else by data.id', () => {
    expect(read({ data: { id: 'a', job_id: 'b' } })).toMatchObject({ remoteJobId: 'b' });
    expect(read({ data: { id: 'a' } })).toMatchObject({ remoteJobId: 'a' });
    expect(read({ data: { id: 'a', job_id: null } })).toMatchObject({ remoteJobId: 'a' });
  });

  it.each([
    ['PARSE_SUCCESS', 'parse.success', true],
    ['Parse.Error', 'parse.error', true],
    ['parse.partial_success', 'parse.partial_success', true],
    ['PARSE_PARTIAL_SUCCESS', 'parse.partial_success', true],
    ['parse.cancelled', 'parse.cancelled', true],
    ['parse.running', 'parse.running', false],
    ['parse.pending', 'parse.pending', false],
  ] as const)('has the event %s as %s', (written, event, ends) => {
    expect(read({ event_type: written })).toMatchObject({ event });
    expect(isEndEvent(event)).toBe(ends);
  });

  it.each([
    ['in milliseconds', NOW, 'stale'],
    ['301 s old', NOW / 1000 - 301, 'stale'],
    ['301 s ahead', NOW / 1000 + 301, 'stale'],
    ['null', null, 'malformed'],
    ['a text', String(NOW / 1000), 'malformed'],
    ['the text NaN', 'NaN', 'malformed'],
    ['absent', undefined, 'malformed'],
    ['negative', -1, 'stale'],
  ])('T43 is refused when its time is %s', (_what, timestamp, refused) => {
    expect(read({ timestamp })).toEqual({ refused });
  });

  it('T43 is refused when its time is no number that JSON knows', () => {
    for (const text of ['NaN', '1e999', '-1e999', 'Infinity'])
      expect(
        readDelivery(Buffer.from(JSON.stringify(envelope()).replace(String(NOW / 1000), text)), NOW),
      ).toHaveProperty('refused');
  });

  it('is taken up to 5 minutes away', () => {
    for (const timestamp of [NOW / 1000 - 300, NOW / 1000 + 300, NOW / 1000 - 0.25])
      expect(read({ timestamp })).toEqual(expected);
  });

  it('never makes its reader throw, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc.string(),
          fc.jsonValue().map((value) => JSON.stringify({ ...envelope(), data: value })),
        ),
        (text) => {
          const result = readDelivery(Buffer.from(text), NOW);
          return 'refused' in result || (result.remoteJobId.length > 0 && result.remoteJobId.length <= 200);
        },
      ),
    );
    for (const changes of [
      { event_id: '' },
      { event_id: 'x'.repeat(201) },
      { event_id: 7 },
      { event_id: 'a\u0000b' },
      { event_type: 'extract.success' },
      { event_type: '__proto__' },
      { data: null },
      { data: [] },
      { data: { job_id: '\u202e' } },
      { data: { job_id: {} } },
    ])
      expect(read(changes)).toEqual({ refused: 'malformed' });
  });
});

function flip(text: string, at: number, bits: number): string {
  return text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ bits) + text.slice(at + 1);
}
