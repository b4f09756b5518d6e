/** Secrets that live as long as the process: the key of webhook signatures, the token of the API. */
import { randomBytes } from 'node:crypto';

/** 32 random bytes as 43 characters that need no quoting anywhere. */
export function freshSecret(): string {
  return randomBytes(32).toString('base64url');
}
