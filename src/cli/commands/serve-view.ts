/** What `serve` says once it listens. */
import type { ServiceMode } from '../../domain/service-mode.ts';
import type { CommandResult } from '../command.ts';
import { dim, strong } from '../ui/text.ts';
import type { Page } from '../ui/ui.ts';

/** Where things listen, and how to get in. */
export interface Serving {
  readonly url: string;
  readonly port: number;
  /** A fresh token; `null` when the user has set one, which is not repeated. */
  readonly token: string | null;
  readonly webhook: { readonly url: string; readonly port: number; readonly publicUrl: string | null };
  readonly mode: ServiceMode;
}

/** The answer: addresses, the token if it is fresh, and lines to try it with. */
export function servingResult(serving: Serving): CommandResult {
  const { url, port, token, webhook, mode } = serving;
  return {
    data: { url, port, token, webhook: { url: webhook.url, port: webhook.port, public_url: webhook.publicUrl }, mode },
    render: (page) => servingPage(page, serving),
    plain: () => [
      ['url', url],
      ['token', token],
      ['webhook', webhook.publicUrl ?? webhook.url],
      ['mode', mode],
    ],
    quiet: () => [url],
  };
}

function servingPage(page: Page, { url, token, webhook, mode }: Serving): void {
  page.field('Serving', strong(url), dim('   Ctrl-C to stop'));
  page.field('Token', token === null ? 'that of TVDB_API_TOKEN' : token);
  page.field('Webhooks', webhook.publicUrl === null ? webhook.url : `${webhook.publicUrl} -> ${webhook.url}`);
  page.field('Mode', mode);
  page.blank();
  const bearer = '-H "Authorization: Bearer $TOKEN"';
  page.line(dim(`  API=${url} TOKEN=${token ?? '$TVDB_API_TOKEN'}`));
  page.line(dim(`  curl ${bearer} $API/upload -d "{\\"filename\\":\\"a.pdf\\",\\"bytes\\":$(wc -c <a.pdf)}"`));
  page.line(dim('  curl -T a.pdf "<upload_url>"'));
  page.line(dim(`  curl ${bearer} $API/job/<job_id>`));
}
