import { describe, expect, it } from 'vitest';
import { createKeyRing } from '../../src/services/key-ring.ts';

const FIRST = 'llx-first-key-0001';
const SECOND = 'llx-second-key-0002';

function ringOf(keys: string[]) {
  const lines: string[] = [];
  const ring = createKeyRing({
    service: 'LlamaParse',
    keys,
    audit: (event, fingerprint, detail) => lines.push(`${event} ${fingerprint} ${detail}`),
  });
  return { ring, lines, events: () => lines.map((line) => line.split(' ').slice(0, 2).join(' ')) };
}

describe('a key ring', () => {
  it('uses the first key and audits its first use once', () => {
    const { ring, events } = ringOf([FIRST, SECOND]);
    expect([ring.current(), ring.current()]).toEqual([FIRST, FIRST]);
    expect(events()).toEqual([`first_use ${ring.fingerprint(FIRST)}`]);
  });

  it('tells the fingerprint of the current key without counting that as a use', () => {
    const { ring, events } = ringOf([FIRST, SECOND]);
    expect([ring.currentFingerprint(), events()]).toEqual([ring.fingerprint(FIRST), []]);
    ring.refused(ring.current());
    expect(ring.currentFingerprint()).toBe(ring.fingerprint(SECOND));
  });

  it('changes to the second key when the first is refused, and allows one more try', () => {
    const { ring, events } = ringOf([FIRST, SECOND]);
    expect(ring.refused(ring.current())).toBe(true);
    expect(ring.current()).toBe(SECOND);
    const [one, two] = [ring.fingerprint(FIRST), ring.fingerprint(SECOND)];
    expect(events()).toEqual([`first_use ${one}`, `refused ${one}`, `switched ${two}`, `first_use ${two}`]);
  });

  it('allows no more tries when the last key is refused', () => {
    const { ring } = ringOf([FIRST, SECOND]);
    expect(ring.refused(FIRST)).toBe(true);
    expect(ring.refused(SECOND)).toBe(false);
    expect(ring.refused(SECOND)).toBe(false);
    expect(ring.current()).toBe(SECOND);
    expect(ringOf([FIRST]).ring.refused(FIRST)).toBe(false);
  });

  it('sends late refusals of the old key to the new one without changing again', () => {
    const { ring, events } = ringOf([FIRST, SECOND]);
    ring.refused(FIRST);
    expect(ring.refused(FIRST)).toBe(true);
    expect(ring.current()).toBe(SECOND);
    expect(events().filter((event) => event.startsWith('switched'))).toHaveLength(1);
    ring.refused(SECOND);
    expect(ring.refused(FIRST)).toBe(false);
  });

  it('takes the same key twice for one', () => {
    const { ring } = ringOf([FIRST, FIRST]);
    expect(ring.refused(FIRST)).toBe(false);
  });

  it('never tells a key, only the first 8 hex digits of its SHA-256', () => {
    const { ring, lines } = ringOf([FIRST, SECOND]);
    ring.refused(ring.current());
    ring.refused(ring.current());
    expect(lines.join('\n')).not.toMatch(/llx-/);
    expect(ring.fingerprint(FIRST)).toMatch(/^[0-9a-f]{8}$/);
    expect(ring.fingerprint(FIRST)).not.toBe(ring.fingerprint(SECOND));
  });

  it('needs a key', () => {
    expect(() => ringOf([])).toThrow('needs a key');
  });
});
