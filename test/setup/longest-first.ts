/** Starts the files that take longest first, so that no worker is left with one of them when the others are through. */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** By name, because a fresh checkout knows no durations; the rest is in the order of vitest, by size. */
const LONG = [
  ...[
    'cli/upload',
    'cli/economy',
    'cli/smoke',
    'docs/json-output',
    'pipeline/economy',
    'cli/canary',
    'cli/upload-money',
  ],
  ...['services/pdf-fixtures', 'cli/canary-services', 'services/pdf-pool', 'cli/consent-terminal', 'pipeline/fallback'],
  ...[
    'cli/upload-outcomes',
    'cli/hostile-output',
    'fixtures/fixtures',
    'domain/chunker-properties',
    'cli/process-secrets',
  ],
  ...[
    'pipeline/fail-nth',
    'store/files-open-once',
    'services/governor-storm',
    'search/quality',
    'pipeline/hostile-text',
  ],
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const at = LONG.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`));
      return at < 0 ? LONG.length : at;
    };
    const inOrder = await super.sort(files);
    // Files of one project stay together: a process is kept for the next file only when that one may share it.
    return inOrder.sort((a, b) => a.project.name.localeCompare(b.project.name) || place(a) - place(b));
  }
}
