import { describe, expect, it } from 'vitest';
import { allows, choose, type RouteQuestion, SERVICE_MODES, type ServiceState } from '../../src/domain/service-mode.ts';

const READY: RouteQuestion = { mode: 'real', override: undefined, keyPresent: true, realAvailable: true };
const open = (why: ServiceState['why']): ServiceState => ({ open: true, why, retryAt: 7 });

describe('choosing a route', () => {
  it.each([
    ['mock', {}, { use: 'mock', why: 'mode_mock', fallback: false }],
    ['mock', { keyPresent: false }, { use: 'mock', why: 'mode_mock', fallback: false }],
    ['real', {}, { use: 'real', why: 'mode_real', fallback: false }],
    ['real', { keyPresent: false }, { use: null, why: 'key_missing', fallback: false }],
    ['real', { state: open('breaker_open') }, { use: 'real', why: 'mode_real', fallback: false }],
    ['real', { state: open('key_refused') }, { use: 'real', why: 'mode_real', fallback: false }],
    ['real', { realAvailable: false }, { use: null, why: 'not_built', fallback: false }],
    ['hybrid', {}, { use: 'real', why: 'ok', fallback: false }],
    ['hybrid', { keyPresent: false }, { use: 'mock', why: 'key_missing', fallback: true }],
    ['hybrid', { state: open('breaker_open') }, { use: 'mock', why: 'breaker_open', fallback: true, retryAt: 7 }],
    ['hybrid', { state: open('key_refused') }, { use: 'mock', why: 'key_refused', fallback: true, retryAt: 7 }],
    ['hybrid', { state: open('no_credit') }, { use: 'mock', why: 'no_credit', fallback: true, retryAt: 7 }],
    ['hybrid', { state: open('rate_limited') }, { use: 'real', why: 'ok', fallback: false }],
    ['hybrid', { state: { open: false, why: 'ok', retryAt: null } }, { use: 'real', why: 'ok', fallback: false }],
    ['real', { override: 'mock' }, { use: 'mock', why: 'override', fallback: false }],
    ['mock', { override: 'real' }, { use: 'real', why: 'mode_real', fallback: false }],
    ['mock', { override: 'hybrid', keyPresent: false }, { use: 'mock', why: 'key_missing', fallback: true }],
    ['hybrid', { override: 'real', keyPresent: false }, { use: null, why: 'key_missing', fallback: false }],
  ] as const)('%s, %j: %j', (mode, changes, route) => {
    expect(choose({ ...READY, mode, ...changes })).toEqual(route);
  });

  it('never uses a mock in real, never a real service in mock, whatever the state', () => {
    for (const why of ['ok', 'breaker_open', 'key_refused', 'no_credit', 'rate_limited'] as const)
      for (const keyPresent of [true, false])
        for (const realAvailable of [true, false]) {
          const question = { override: undefined, keyPresent, realAvailable, state: open(why) };
          expect(choose({ ...question, mode: 'real' }).use).not.toBe('mock');
          expect(choose({ ...question, mode: 'mock' }).use).toBe('mock');
        }
  });

  it('calls it a fallback only when hybrid wanted real and got a mock', () => {
    for (const mode of SERVICE_MODES)
      for (const keyPresent of [true, false]) {
        const { use, fallback } = choose({ ...READY, mode, keyPresent });
        expect(fallback).toBe(mode === 'hybrid' && use === 'mock');
      }
  });
});

describe('what a mode allows', () => {
  it.each([
    ['mock', true, false],
    ['real', false, true],
    ['hybrid', true, true],
  ] as const)('%s: mock %s, real %s', (mode, mock, real) => {
    expect([allows(mode, 'mock'), allows(mode, 'real')]).toEqual([mock, real]);
  });
});
