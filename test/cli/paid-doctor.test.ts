/** `doctor` and the paid services: what it finds out, and that it never spends. */
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { paidPlace } from './paid-place.ts';
import type { Json } from './workplace.ts';

const PROVIDERS = ['doctor', 'llamaparse', 'openai', 'webhook', 'keys'];
const check = (answer: Json, id: string) => answer.data.checks.find((one: Json) => one.id === id);

describe('tvdb doctor', () => {
  it('asks both services, says what is offered and where, and spends nothing', async () => {
    const { json, tvdb, env, simulator } = await paidPlace();
    const answer = await json(PROVIDERS, { env });
    expect(answer.exit_code).toBe(0);
    expect(check(answer, 'llamaparse')).toMatchObject({ status: 'ok', group: 'providers' });
    expect(check(answer, 'llamaparse').detail).toMatch(
      /^http:\/\/127\.0\.0\.1:\d+ {2}key accepted, cost_effective \S+ is offered/,
    );
    expect(check(answer, 'openai').detail).toMatch(/text-embedding-3-small is offered/);
    await tvdb(['doctor'], { env });
    expect(simulator.log().map(({ operation }) => operation)).toEqual(
      expect.arrayContaining(['parse.versions', 'models.get']),
    );
    expect(simulator.log().filter(({ accepted, method }) => accepted || method !== 'GET')).toEqual([]);
    expect(simulator.bill()).toMatchObject({ credits: 0, tokens: 0, nanoUsd: 0 });
  });

  it('says that nothing is charged, and fits 80 columns', async () => {
    const { tvdb, env } = await paidPlace();
    const { stdout } = await tvdb(PROVIDERS, { env: { ...env, NO_COLOR: '1' }, tty: true });
    expect(stdout).toContain('Providers (free endpoints only, nothing charged)');
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  it('fails for a refused key, with a word about regions, and never shows the key (exit 1)', async () => {
    const { tvdb, json, env } = await paidPlace();
    const wrong = { ...env, LLAMAPARSE_API_KEY: 'nobody-knows-this-key' };
    const answer = await json(PROVIDERS, { env: wrong });
    expect([answer.exit_code, answer.error.code]).toEqual([1, 'TVDB-E110']);
    expect(check(answer, 'llamaparse')).toMatchObject({
      status: 'fail',
      fix: { text: expect.stringContaining('region') },
    });
    expect(check(answer, 'openai').status).toBe('ok');
    const { stdout, stderr } = await tvdb(PROVIDERS, { env: wrong });
    expect(stdout + stderr).not.toContain('nobody-knows-this-key');
  });

  it('knows of a second key: good for nothing, good in reserve, or in use', async () => {
    const { json, env } = await paidPlace();
    const { OPENAI_API_KEY: good = '' } = env;
    const with2 = async (first: string, second: string) =>
      check(
        await json(PROVIDERS, { env: { ...env, OPENAI_API_KEY: first, OPENAI_API_KEY_SECONDARY: second } }),
        'openai',
      );
    expect(await with2(good, 'sk-another-good-one')).toMatchObject({
      status: 'ok',
      detail: expect.stringContaining('second key set, accepted'),
    });
    expect(await with2(good, 'not-accepted-at-all')).toMatchObject({
      status: 'warn',
      fix: { text: expect.stringContaining('OPENAI_API_KEY_SECONDARY') },
    });
    expect(await with2('not-accepted-at-all', good)).toMatchObject({
      status: 'warn',
      detail: expect.stringContaining('the second key is accepted'),
    });
    const keys = check(await json(PROVIDERS, { env: { ...env, OPENAI_API_KEY_SECONDARY: good } }), 'keys');
    expect(keys.detail).toContain('OPENAI_API_KEY set and a second one');
  });

  it('fails for a version that is not offered, and for a service that is not there or says nothing', async () => {
    const { json, env, simulator } = await paidPlace();
    const dated = await json(PROVIDERS, { env: { ...env, LLAMAPARSE_VERSION: '1999-01-01' } });
    expect(check(dated, 'llamaparse')).toMatchObject({
      status: 'fail',
      fix: { commands: ['unset LLAMAPARSE_VERSION'] },
    });
    const closed = await json(PROVIDERS, { env: { ...env, OPENAI_BASE_URL: 'http://127.0.0.1:9/v1' } });
    expect([closed.exit_code, check(closed, 'openai').detail]).toEqual([
      1,
      expect.stringMatching(/cannot be reached at/),
    ]);
    simulator.control.faults('models.get=hang');
    const silent = await json([...PROVIDERS, '--timeout', '300ms'], { env });
    expect(check(silent, 'openai')).toMatchObject({ status: 'fail', detail: 'no answer within 300 ms' });
    expect(check(silent, 'llamaparse').status).toBe('ok');
  });

  it('looks at the way of webhooks: https, a fixed port, and that it is free', async () => {
    const { json, env } = await paidPlace();
    const look = async (more: Record<string, string>) =>
      check(await json(['doctor', 'webhook'], { env: { ...env, ...more } }), 'webhook');
    expect(await look({})).toMatchObject({ status: 'ok', detail: expect.stringContaining('polled') });
    expect(await look({ TVDB_PUBLIC_URL: 'http://tunnel.example' })).toMatchObject({ status: 'fail' });
    expect(await look({ TVDB_PUBLIC_URL: 'https://tunnel.example' })).toMatchObject({
      status: 'warn',
      why: expect.stringContaining('stays the same'),
    });
    const away = { LLAMA_CLOUD_BASE_URL: 'us', TVDB_RESULTS: 'webhook', SERVICE_MODE: 'real' };
    expect(await look(away)).toMatchObject({ status: 'fail', why: expect.stringContaining('cannot reach') });
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const port = String((other.address() as { port: number }).port);
    expect(await look({ TVDB_PUBLIC_URL: 'https://tunnel.example', TVDB_WEBHOOK_PORT: port })).toMatchObject({
      status: 'warn',
      detail: expect.stringContaining('EADDRINUSE'),
    });
    await new Promise((resolve) => other.close(resolve));
    const free = await look({ TVDB_PUBLIC_URL: 'https://tunnel.example', TVDB_WEBHOOK_PORT: port });
    expect(free).toMatchObject({ status: 'ok', detail: expect.stringContaining(`127.0.0.1:${port}`) });
  });
});
