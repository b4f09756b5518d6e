/** `tvdb serve`: takes documents through an HTTP API on this machine and works on them until it is stopped. */
import { SERVICE_MODES } from '../../domain/service-mode.ts';
import { defineCommand } from '../command.ts';
import { MAX_COST_OPTION } from './max-cost.ts';

export const serveCommand = defineCommand({
  name: 'serve',
  summary: 'take documents through an HTTP API on this machine',
  description:
    'Listens on 127.0.0.1 only and works on the queue until Ctrl-C. Documents are announced with POST /upload, sent with PUT to ' +
    'the signed URL of the answer, and followed with GET /job/<id>. Webhooks of the parse service arrive on a second port, the ' +
    'only one a tunnel may lead to.',
  args: [],
  options: [
    {
      name: 'port',
      value: 'integer',
      min: 1,
      max: 65_535,
      valueName: 'n',
      summary: 'port of the API (default: a free one)',
      common: true,
    },
    {
      name: 'webhook-port',
      value: 'integer',
      min: 0,
      max: 65_535,
      valueName: 'n',
      summary: 'port of the webhook listener; a tunnel needs a fixed one',
      setting: 'TVDB_WEBHOOK_PORT',
    },
    {
      name: 'mode',
      short: 'm',
      value: SERVICE_MODES,
      valueName: 'mode',
      summary: 'mode of the uploads: mock, real or hybrid',
      setting: 'SERVICE_MODE',
      common: true,
    },
    {
      name: 'concurrency',
      value: 'integer',
      min: 1,
      max: 64,
      valueName: 'n',
      summary: 'jobs worked on at a time',
      setting: 'WORKER_CONCURRENCY',
    },
    {
      ...MAX_COST_OPTION,
      summary: 'spend at most this until it is stopped; also the consent to uploads up to that sum',
    },
    { name: 'yes', short: 'y', summary: 'agree to every upload that fits the limits' },
  ],
  examples: [
    ['tvdb serve', 'on a free port, with a fresh token'],
    ['tvdb serve --port 8080 --json', 'for a program that starts it'],
    ['TVDB_API_TOKEN=... tvdb serve --port 8080', 'with a token of your own'],
  ],
  needs: 'world',
  exitCodes: [[0, 'stopped by Ctrl-C, the normal end'], [1, 'a port is taken'], 2, 4, [5, '--max-cost is used up'], 6],
  json: 'tvdb.serve/v1',
  ndjson: true,
  stopIsSuccess: true,
  async handler({ options }, ctx) {
    const { serve } = await import('./serve-work.ts');
    const { maxCost, yes } = options;
    const cap = await serve({ port: options.port ?? 0, maxCost, yes }, ctx);
    return { data: {}, ...(cap !== undefined && { error: cap }) };
  },
});
