/** Every outbound request that a test did not mock throws, so that no test can reach a service by accident. */
import { afterAll, afterEach, beforeAll } from 'vitest';
import { lockTransport } from '../../src/services/transport-lock.ts';
import { network } from './intercepted.ts';

// msw does not see what undici sends through a dispatcher of its own; the lock is under every client there is.
const unlock = process.env.TVDB_LIVE === '1' ? () => {} : lockTransport();
afterAll(unlock);

beforeAll(() => network.listen({ onUnhandledRequest: 'error' }));
afterEach(() => network.resetHandlers());
afterAll(() => network.close());
