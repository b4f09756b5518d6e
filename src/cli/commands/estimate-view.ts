/** An estimate for people and programs: per document, per tier, and beside what may still be spent. */
import type { WorkEstimate } from '../../domain/cost-estimate.ts';
import { formatUsd } from '../../domain/money.ts';
import type { PlannedCost } from '../../pipeline/estimate-upload.ts';
import { errorJson } from '../ui/errors.ts';
import { plural, usd } from '../ui/format.ts';
import { dim, strong } from '../ui/text.ts';
import type { CommandResult } from '../ui/ui.ts';
import { budgetName } from './budget-view.ts';
import type { FileEstimate, TierEstimate } from './estimate-files.ts';

interface Estimated {
  readonly files: readonly FileEstimate[];
  readonly tiers: readonly TierEstimate[];
  /** The tier that documents are shown in. */
  readonly shown: TierEstimate;
  readonly prices: string;
}

/** Estimates round up: what is shown is never less than what may be paid. */
const most = (nano: number) => formatUsd(nano, 'up');

/** Page, rows and data of an estimate. */
export function estimateResult({ files, tiers, shown, prices }: Estimated): CommandResult {
  const costOf = ({ index }: FileEstimate): PlannedCost | undefined =>
    index === null ? undefined : shown.estimate.perDocument[index];
  const pages = files.reduce((sum, file) => sum + (file.pages ?? 0), 0);
  return {
    data: {
      tier: shown.tier,
      price_table: prices,
      documents: files.map((file) => documentJson(file, costOf(file))),
      tiers: tiers.map(({ tier, estimate, fit }) => ({
        tier,
        likely_nano_usd: estimate.likelyNanoUsd,
        ceiling_nano_usd: estimate.ceilingNanoUsd,
        fits: estimate.ceilingNanoUsd === 0 || fit.refusal === null,
      })),
      likely_nano_usd: shown.estimate.likelyNanoUsd,
      ceiling_nano_usd: shown.estimate.ceilingNanoUsd,
      left_nano_usd: shown.fit.leftNanoUsd,
      fits: shown.estimate.ceilingNanoUsd === 0 || shown.fit.refusal === null,
    },
    render: (page) => {
      page.table({
        columns: [
          { head: 'FILE', flex: true },
          ...['PAGES', 'PARSE', 'EMBED', 'LIKELY', 'CEILING'].map((head) => ({ head, align: 'right' as const })),
        ],
        rows: files.map((file) => {
          const cost = costOf(file);
          if (cost === undefined)
            return [file.shown, null, null, null, null, file.error === null ? 'repeat' : file.error.label];
          return [
            file.shown,
            cost.pages,
            partText(cost.parseBy, cost.parse),
            partText(cost.embedBy, cost.embed),
            most(cost.likelyNanoUsd),
            most(cost.ceilingNanoUsd),
          ];
        }),
      });
      page.blank();
      page.table({
        columns: [
          { head: 'TIER' },
          { head: 'LIKELY', align: 'right' },
          { head: 'CEILING', align: 'right' },
          { head: 'FITS' },
        ],
        rows: tiers.map(({ tier, estimate, fit }) => [
          tier === shown.tier ? strong(tier) : tier,
          most(estimate.likelyNanoUsd),
          most(estimate.ceilingNanoUsd),
          estimate.ceilingNanoUsd === 0 || fit.refusal === null ? 'yes' : 'no',
        ]),
      });
      page.blank();
      const { tightest } = shown.fit;
      if (tightest !== null)
        page.field('left', `${usd(tightest.left)} of ${usd(tightest.limit)} for ${budgetName(tightest.budget)}`);
      else page.field('left', 'no limit is in force');
      page.field('pages', `${plural(pages, 'page')}; PARSE and EMBED are likely figures in tier ${shown.tier}`);
      page.field('prices', `book ${prices}; provider bills may differ`, dim('   nothing was sent'));
    },
    plain: () =>
      files.map((file) => {
        const cost = costOf(file);
        return [
          file.shown,
          file.pages,
          cost === undefined ? null : cost.likelyNanoUsd / 1e9,
          cost === undefined ? null : cost.ceilingNanoUsd / 1e9,
        ];
      }),
    quiet: () => [(shown.estimate.ceilingNanoUsd / 1e9).toFixed(9)],
  };
}

function partText(by: PlannedCost['parseBy'], work: WorkEstimate | null): string {
  return work === null ? by : most(work.likelyNanoUsd);
}

function documentJson({ shown, pages, repeat, error }: FileEstimate, cost: PlannedCost | undefined) {
  const part = (by: PlannedCost['parseBy'] | undefined, work: WorkEstimate | null | undefined) => ({
    by: by ?? null,
    units: work?.units ?? 0,
    unit_price_nano_usd: work?.unitPrice ?? null,
    likely_nano_usd: work?.likelyNanoUsd ?? 0,
    ceiling_nano_usd: work?.ceilingNanoUsd ?? 0,
  });
  return {
    path: shown,
    pages,
    repeat,
    parse: part(cost?.parseBy, cost?.parse),
    embed: part(cost?.embedBy, cost?.embed),
    likely_nano_usd: cost?.likelyNanoUsd ?? null,
    ceiling_nano_usd: cost?.ceilingNanoUsd ?? null,
    error: error === null ? null : errorJson(error, undefined),
  };
}
