/** The check of the way webhooks take: the public address, and the port on this machine that it leads to. */
import { createServer } from 'node:net';
import type { Settings } from '../../config/variables.ts';
import { type Check, type Finding, ok } from './check.ts';

export const webhook: Check = async ({ config: { settings } }) => {
  const { TVDB_PUBLIC_URL: publicUrl, TVDB_WEBHOOK_PORT: port, TVDB_RESULTS: results } = settings;
  const problem = await portProblem(port);
  if (problem !== null) {
    return {
      status: 'warn',
      detail: `port ${port} on 127.0.0.1 cannot be listened on (${problem})`,
      why: 'a worker of tvdb may have it; otherwise webhooks do not arrive, and results are polled for',
      fix: { text: 'free the port, or use another one', commands: [`export TVDB_WEBHOOK_PORT=${port + 1}`] },
    };
  }
  if (publicUrl === undefined) return withoutAddress(results, settings);
  const where = port === 0 ? 'any free port of 127.0.0.1' : `127.0.0.1:${port}`;
  if (!publicUrl.startsWith('https://')) {
    return {
      status: 'fail',
      detail: `TVDB_PUBLIC_URL is ${publicUrl}, which is not https`,
      why: 'LlamaParse delivers to https only',
      fix: { text: 'use the https address of your tunnel', commands: ['export TVDB_PUBLIC_URL=https://...'] },
    };
  }
  if (port === 0) {
    return {
      status: 'warn',
      detail: `${publicUrl} leads to ${where}`,
      why: 'a tunnel needs a port that stays the same',
      fix: { text: 'fix the port', commands: ['export TVDB_WEBHOOK_PORT=8787'] },
    };
  }
  return ok(`${publicUrl} -> ${where}, free`);
};

function withoutAddress(results: Settings['TVDB_RESULTS'], settings: Settings): Finding {
  const { SERVICE_MODE: general, SERVICE_MODE_LLAMAPARSE: own } = settings;
  const here = ['localhost', '127.0.0.1', '[::1]'].includes(new URL(settings.LLAMA_CLOUD_BASE_URL).hostname);
  if (results !== 'webhook' || (own ?? general) === 'mock' || here)
    return ok('TVDB_PUBLIC_URL is not set: results are polled for');
  return {
    status: 'fail',
    detail: 'TVDB_RESULTS is webhook and TVDB_PUBLIC_URL is not set',
    why: 'LlamaParse cannot reach this machine',
    fix: { text: 'set the address of a tunnel, or poll', commands: ['export TVDB_RESULTS=poll'] },
  };
}

/** Why the port cannot be had; `null` when it was free a moment ago. */
function portProblem(port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(null)));
  });
}
