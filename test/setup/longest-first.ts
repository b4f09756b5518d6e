/** Starts the files that take longest first, so that no worker is left with one of them when the others are through. */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** By name, because a fresh checkout knows no durations; the rest is in the order of vitest, by size. */
const LONG = [
  ...['cli/economy', 'cli/upload', 'cli/smoke', 'cli/canary', 'cli/canary-services', 'docs/json-output'],
  ...['pipeline/economy', 'services/pdf-fixtures', 'cli/upload-money', 'domain/chunker-properties'],
  ...['cli/paid-upload', 'cli/retry-money', 'pipeline/deliveries', 'cli/upload-stops', 'cli/upload-outcomes'],
  ...['cli/hostile-output', 'pipeline/submit-parse', 'cli/consent-terminal', 'fixtures/fixtures', 'cli/doctor'],
  ...['pipeline/fail-nth', 'pipeline/fallback', 'services/governor-storm', 'store/files-open-once'],
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
