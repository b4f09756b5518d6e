/** A reconciliation for people and programs, and the file it is made with. */
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { TvdbError } from '../../base/errors.ts';
import { shortId } from '../../base/ids.ts';
import type { PriceBook } from '../../domain/price-book.ts';
import { readProviderLog } from '../../ledger/provider-log.ts';
import type { Difference, TheirCharge } from '../../ledger/reconcile.ts';
import type { Reconciliation } from '../../pipeline/reconcile.ts';
import { plural, usd } from '../ui/format.ts';
import { accent, dim } from '../ui/text.ts';
import type { CommandResult } from '../ui/ui.ts';
import { serviceTitle } from './budget-view.ts';

/** A usage export is text; more is some other file. */
const MOST_BYTES = 50_000_000;
/** Rows on a screen. A pipe and JSON get all of them. */
const ROWS_SHOWN = 50;

/** The charges of a file, relative to `cwd`. Throws E004 when there is none, E003 when it is no such record. */
export async function readLog(file: string, cwd: string, prices: PriceBook, now: number): Promise<TheirCharge[]> {
  const path = resolve(cwd, file);
  const facts = { flag: '--provider-log', value: file };
  let text: string;
  try {
    if ((await stat(path)).size > MOST_BYTES) throw new Error('it is too large');
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new TvdbError('E004', {
      message: `${file} cannot be read`,
      why: (cause as Error).message.slice(0, 200),
      facts,
      cause,
    });
  }
  try {
    return readProviderLog(text, prices, now);
  } catch (cause) {
    throw new TvdbError('E003', {
      message: `${file} is no record of what a service billed`,
      why: (cause as Error).message.slice(0, 200),
      facts,
      cause,
    });
  }
}

const KINDS: Readonly<Record<Difference['kind'], string>> = {
  amount: 'another sum',
  not_ours: 'billed, and not asked for here',
  not_theirs: 'in the ledger, and not billed',
  given_back: 'billed, though it was given back',
};

/** What was compared, resolved, and still differs. */
export function reconcileResult(
  { comparison, resolved, asked, withoutFigure, error }: Reconciliation,
  file: string | undefined,
): CommandResult {
  const { differences, unsettled, equal, oursNanoUsd, theirsNanoUsd } = comparison;
  const unknown = unsettled.filter(({ charge }) => charge.nanoUsd === null);
  const provisional = unsettled.filter(({ charge }) => charge.provisional);
  return {
    data: {
      against: file ?? 'services',
      asked,
      without_figure: withoutFigure,
      equal,
      ours_nano_usd: oursNanoUsd,
      theirs_nano_usd: theirsNanoUsd,
      differences: differences.map((one) => ({
        attempt_id: one.attemptId,
        service: one.service,
        remote_id: one.remoteId,
        kind: one.kind,
        ours_nano_usd: one.oursNanoUsd,
        theirs_nano_usd: one.theirsNanoUsd,
      })),
      resolved: resolved.map(({ attemptId, as, nanoUsd }) => ({ attempt_id: attemptId, as, nano_usd: nanoUsd })),
      unknown: unknown.map(({ charge, theirsNanoUsd: billed }) => ({
        attempt_id: charge.attemptId,
        service: charge.service,
        theirs_nano_usd: billed,
      })),
      provisional: provisional.length,
      complete: error === null,
    },
    render: (page) => {
      for (const { attemptId, as, nanoUsd } of resolved.slice(0, ROWS_SHOWN))
        page.status('ok', `${shortId(attemptId)}  ${as}  ${usd(nanoUsd)}`);
      if (resolved.length > 0) page.blank();
      if (differences.length > 0) {
        page.table({
          columns: [
            { head: 'REQUEST' },
            { head: 'SERVICE' },
            { head: 'LEDGER', align: 'right' },
            { head: 'BILLED', align: 'right' },
            { head: 'WHAT', flex: true },
          ],
          rows: differences
            .slice(0, ROWS_SHOWN)
            .map((one) => [
              accent(shortId(one.attemptId ?? one.remoteId ?? '')),
              serviceTitle(one.service),
              one.oursNanoUsd === null ? null : usd(one.oursNanoUsd),
              one.theirsNanoUsd === null ? null : usd(one.theirsNanoUsd),
              KINDS[one.kind],
            ]),
        });
        if (differences.length > ROWS_SHOWN)
          page.line(dim(`... ${plural(differences.length - ROWS_SHOWN, 'more row')}; --json has them all`));
      }
      page.status(
        differences.length === 0 ? 'ok' : 'fail',
        `${plural(equal, 'request')} ${equal === 1 ? 'agrees' : 'agree'}, ${differText(differences.length)}`,
      );
      page.field(
        'ledger',
        `${usd(oursNanoUsd)}   billed ${usd(theirsNanoUsd)}   difference ${usd(theirsNanoUsd - oursNanoUsd)}`,
      );
      if (unknown.length > 0)
        page.field(
          'unknown',
          `${plural(unknown.length, 'request')} nobody knows the outcome of`,
          dim('   tvdb costs holds'),
        );
      if (provisional.length > 0)
        page.field('pending', `${plural(provisional.length, 'request')} the service has not billed yet`);
      if (withoutFigure > 0)
        page.field('no figure', `the service has none (any more) for ${plural(withoutFigure, 'request')}`);
    },
    plain: () =>
      differences.map((one) => [
        one.attemptId,
        one.service,
        one.remoteId,
        one.kind,
        one.oursNanoUsd === null ? null : one.oursNanoUsd / 1e9,
        one.theirsNanoUsd === null ? null : one.theirsNanoUsd / 1e9,
      ]),
    quiet: () => differences.flatMap((one) => one.attemptId ?? one.remoteId ?? []),
  };
}

function differText(differences: number): string {
  if (differences === 0) return 'none differs';
  return differences === 1 ? '1 differs' : `${differences} differ`;
}
