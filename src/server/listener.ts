/**
 * The public-facing listener: `POST /webhooks/llamaparse/<token>` and signed `GET /storage/…`, nothing else. A tunnel may
 * lead to it; the HTTP API is on a listener of its own, so that no mistake here can expose it.
 */
import type { Clock } from '../base/clock.ts';
import type { Ids } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { checkSecrets } from '../domain/webhook.ts';
import type { WebhookTarget } from '../services/parse/port.ts';
import type { Storage } from '../storage/local.ts';
import type { Store } from '../store/open.ts';
import { sendFile } from './files.ts';
import { publicHosts } from './hosts.ts';
import { type Exchange, type HttpLimits, listen, PUBLIC_LIMITS } from './http-server.ts';
import { createRejections } from './rejections.ts';
import { reply } from './reply.ts';
import { takeDelivery } from './webhook.ts';

export interface ListenerOptions {
  store: Pick<Store, 'write' | 'db'>;
  storage: Pick<Storage, 'pathOf'>;
  /** Of signed storage URLs. */
  signingKey: Buffer;
  clock: Clock;
  ids: Ids;
  log: Log;
  /** Keys of webhook signatures; all are valid, the first is given to services. */
  secrets: readonly [string, ...string[]];
  /** Address under which a tunnel reaches this listener, without a slash at its end. */
  publicUrl: string | undefined;
  /** 0 takes a free one. */
  port: number;
  /** Told after each new delivery; the worker looks at once. */
  onDelivery: () => void;
  limits?: Partial<HttpLimits>;
}

export interface Listener {
  readonly port: number;
  readonly publicUrl: string | undefined;
  /** Base of URLs that services are given: the public address, else the local one. */
  readonly url: string;
  /** Where a service delivers to. */
  target(): WebhookTarget;
  /** Where something on this machine delivers to; it never goes through the tunnel. */
  localTarget(): WebhookTarget;
  connections(): number;
  close(): Promise<void>;
}

/** Starts it on 127.0.0.1. Throws E601 for a port that cannot be had, E602 for a secret that is too weak. */
export async function startListener(options: ListenerOptions): Promise<Listener> {
  const { secrets, publicUrl, clock, log, ids } = options;
  checkSecrets(secrets);
  // Keeps noise away, no more: URLs end up in logs. The signature is what counts.
  const path = `/webhooks/llamaparse/${ids.uuid().replaceAll('-', '')}`;
  const rejections = createRejections('WEBHOOK_REJECTED', { log, clock });
  // A tunnel may keep the path of the public address or take it away.
  const prefix = publicUrl === undefined ? '' : new URL(publicUrl).pathname.replace(/\/+$/, '');

  const handle = async (exchange: Exchange): Promise<void> => {
    const { request, response } = exchange;
    const [asked = ''] = (request.url ?? '').split('?', 1);
    const isWebhook = asked === path || asked === `${prefix}${path}`;
    if (!isWebhook && !asked.startsWith('/storage/')) return reply(response, 404, '');
    const method = isWebhook ? 'POST' : 'GET';
    if (request.method !== method) return reply(response, 405, '', { allow: method });
    return isWebhook ? takeDelivery(exchange, { ...options, rejections }) : sendFile(exchange, options);
  };

  const server = await listen({
    port: options.port,
    portFix: 'Set TVDB_WEBHOOK_PORT (or --webhook-port) to another port, or to 0 for a free one.',
    clock,
    limits: { ...PUBLIC_LIMITS, ...options.limits },
    hosts: (port) => publicHosts(publicUrl, port),
    handle,
    refuseHost: ({ response }) => reply(response, 403, ''),
    onBug: (error) => log('error', 'LISTENER_FAILED', { why: String(error) }),
  });
  const local = `http://127.0.0.1:${server.port}`;
  const url = publicUrl ?? local;
  const [secret] = secrets;
  return {
    port: server.port,
    publicUrl,
    url,
    target: () => ({ url: `${url}${path}`, secret }),
    localTarget: () => ({ url: `${local}${path}`, secret }),
    connections: server.connections,
    async close() {
      await server.close();
      rejections.flush();
    },
  };
}
