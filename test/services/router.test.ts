import { describe, expect, it } from 'vitest';
import type { ServiceState } from '../../src/domain/service-mode.ts';
import type { EmbedService } from '../../src/services/embed/port.ts';
import type { ParseService } from '../../src/services/parse/port.ts';
import { createRouter, type RouterOptions } from '../../src/services/router.ts';

const parser = (name: string) => ({ parserName: name }) as ParseService;
const embedder = (name: string) => ({ space: { name } }) as EmbedService;
const OPTIONS = { tier: 'fast', version: '1' } as const;

function router(changes: Partial<RouterOptions> = {}) {
  return createRouter({
    keys: { llamaparse: 'llx', openai: 'sk' },
    parse: { mock: async () => parser('mock'), real: async ({ tier }) => parser(`real ${tier}`) },
    embed: { mock: async () => embedder('mock'), real: async () => embedder('real') },
    ...changes,
  });
}

const closed: ServiceState = { open: false, why: 'ok', retryAt: null };
const broken: ServiceState = { open: true, why: 'breaker_open', retryAt: 5 };

describe('the decision for a new job', () => {
  it('counts mode and keys alone, or also how the services stand', async () => {
    const one = router({ stateOf: async () => broken });
    expect(one.decide('hybrid').services.llamaparse).toMatchObject({ use: 'real' });
    expect((await one.decideNow('hybrid')).services.llamaparse).toMatchObject({ use: 'mock', why: 'breaker_open' });
    expect((await one.decideNow('real')).services.llamaparse).toMatchObject({ use: 'real' });
  });

  it('does not ask how a service stands that has no key', async () => {
    const asked: string[] = [];
    const one = router({
      keys: { llamaparse: undefined, openai: 'sk' },
      stateOf: async (service) => {
        asked.push(service);
        return closed;
      },
    });
    await one.decideNow('hybrid');
    expect(asked).toEqual(['openai']);
  });

  it('embeds what a mock parsed in the mock space, as a fallback when the parse was one', () => {
    const one = router({ keys: { llamaparse: undefined, openai: 'sk' } });
    expect(one.decide('hybrid').services).toMatchObject({
      llamaparse: { use: 'mock', why: 'key_missing', fallback: true },
      openai: { use: 'mock', why: 'parse_is_mock', fallback: true },
    });
    expect(router().decide('real', { llamaparse: 'mock' }).services.openai).toEqual({
      use: 'mock',
      why: 'parse_is_mock',
      fallback: false,
    });
  });

  it('gives a mock parse and real vectors to who asks for both in so many words', () => {
    expect(router().decide('mock', { openai: 'real' }).services).toMatchObject({
      llamaparse: { use: 'mock' },
      openai: { use: 'real' },
    });
  });

  it('notes the wishes for single services, and only when there are any', () => {
    expect(router().decide('real', { openai: 'mock' })).toMatchObject({ overrides: { openai: 'mock' } });
    expect(router().decide('real')).not.toHaveProperty('overrides');
  });

  it.each([
    ['key_missing', { keys: { llamaparse: undefined, openai: 'sk' } }, 'E101'],
    ['not_built', { parse: { mock: async () => parser('mock') } }, 'E102'],
  ] as const)('is refused when it leaves a service without a provider: %s', (_why, changes, code) => {
    const one = router(changes);
    expect(() => one.refuseUnusable(one.decide('real'))).toThrow(expect.objectContaining({ code }));
    expect(() => one.refuseUnusable(one.decide('mock'))).not.toThrow();
  });
});

describe('the route of a job that is about to use a service', () => {
  const mockParse = { use: 'mock', why: 'key_missing', fallback: true } as const;
  const realParse = { use: 'real', why: 'ok', fallback: false } as const;

  it('follows how the document was parsed', async () => {
    const one = router({ stateOf: async () => closed });
    expect(await one.route('openai', { mode: 'hybrid' }, mockParse)).toMatchObject({ use: 'mock', fallback: true });
    expect(await one.route('openai', { mode: 'hybrid' }, realParse)).toMatchObject({ use: 'real', fallback: false });
    // The mode was changed after a mock had parsed it.
    const asked = { ...mockParse, why: 'mode_mock', fallback: false } as const;
    expect(await one.route('openai', { mode: 'real' }, asked)).toMatchObject({ use: 'mock', fallback: true });
  });

  it('asks how the service stands each time', async () => {
    let state = closed;
    const one = router({ stateOf: async () => state });
    expect(await one.route('llamaparse', { mode: 'hybrid' })).toMatchObject({ use: 'real' });
    state = broken;
    expect(await one.route('llamaparse', { mode: 'hybrid' })).toMatchObject({ use: 'mock', retryAt: 5 });
    expect(await one.route('llamaparse', { mode: 'real' })).toMatchObject({ use: 'real' });
  });
});

describe('the services', () => {
  it('are handed out by origin, the real parser for its options', async () => {
    const one = router();
    expect((await one.parseService('mock', OPTIONS)).parserName).toBe('mock');
    expect((await one.parseService('real', OPTIONS)).parserName).toBe('real fast');
    expect((await one.embedService('real')).space.name).toBe('real');
  });

  it('that are not there are said to be missing', async () => {
    const one = router({ parse: {}, embed: {} });
    await expect(one.parseService('real', OPTIONS)).rejects.toMatchObject({ code: 'E102' });
    await expect(one.embedService('mock')).rejects.toMatchObject({ code: 'E102' });
    expect(one.usable('openai')).toBe(false);
  });

  it('may be retried freely where nobody counts', async () => {
    expect(await router().retryAllowed('openai')).toBe(true);
    expect(await router({ retryAllowed: async () => false }).retryAllowed('openai')).toBe(false);
  });
});
