/** The one or two keys of a service: which is in use, and the change to the second when the first is refused. */
import { sha256 } from '../base/hash.ts';

/** What is worth a line in the audit log. Only the fingerprint of a key is ever told. */
export type KeyEvent = 'first_use' | 'refused' | 'switched';
export type KeyAudit = (event: KeyEvent, fingerprint: string, detail: string) => void;

export interface KeyRing {
  /** The key to send now; audited the first time it is asked for. */
  current(): string;
  /** Fingerprint of the key that would be sent now; looking is no use and is not audited. */
  currentFingerprint(): string;
  /**
   * Takes note that the service refused `key`. True when another key is current now: the caller may send the same
   * request once more, because a refusal proves that nothing was accepted.
   */
  refused(key: string): boolean;
  /** First 8 hex digits of the SHA-256: tells keys apart in logs and remembered uploads without giving one away. */
  fingerprint(key: string): string;
}

export interface KeyRingOptions {
  /** Name of the service in audit lines. */
  service: string;
  /** At least one, in the order they are tried; repeats are dropped. */
  keys: readonly string[];
  audit: KeyAudit;
}

/**
 * A ring over the given keys. It never goes back: when the last key is refused it stays current and `refused` answers
 * false. Requests in flight with an older key may report its refusal late; they are told to use the current one and
 * change nothing.
 */
export function createKeyRing({ service, keys, audit }: KeyRingOptions): KeyRing {
  const ring = [...new Set(keys)];
  const [first] = ring;
  if (first === undefined) throw new Error(`a key ring of ${service} needs a key`);
  let key = first;
  const used = new Set<string>();
  const refusedKeys = new Set<string>();
  const fingerprint = (one: string) => sha256(one).slice(0, 8);

  return {
    current() {
      if (!used.has(key)) {
        used.add(key);
        audit('first_use', fingerprint(key), `key ${ring.indexOf(key) + 1} of ${ring.length} of ${service}`);
      }
      return key;
    },
    currentFingerprint: () => fingerprint(key),
    refused(old) {
      if (!refusedKeys.has(old) && ring.includes(old)) {
        refusedKeys.add(old);
        audit('refused', fingerprint(old), `${service} refused it`);
        const next = ring[ring.indexOf(old) + 1];
        if (old === key && next !== undefined) {
          key = next;
          audit('switched', fingerprint(key), `${service}: from ${fingerprint(old)} to the next key`);
        }
      }
      return key !== old && !refusedKeys.has(key);
    },
    fingerprint,
  };
}
