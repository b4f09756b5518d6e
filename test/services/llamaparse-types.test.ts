/**
 * Our wire shapes against the types of the official SDK: what disagrees does not compile. The SDK is a development
 * dependency and nothing of it is imported at run time.
 */
import type { FileCreateParams, FileCreateResponse } from '@llamaindex/llama-cloud/resources/files';
import type {
  ParsingCancelResponse,
  ParsingCreateParams,
  ParsingCreateResponse,
  ParsingGetParams,
  ParsingGetResponse,
  ParsingListParams,
  ParsingListResponse,
  ParsingListVersionsResponse,
} from '@llamaindex/llama-cloud/resources/parsing';
import { describe, expect, it } from 'vitest';
import { TIER_VERSIONS } from '../../src/domain/parse-options.ts';
import { readPages } from '../../src/services/parse/llamaparse-pages.ts';
import {
  type CreateBody,
  createBody,
  type JobStatus,
  readFileId,
  readJob,
  readJobList,
  readVersions,
} from '../../src/services/parse/llamaparse-wire.ts';
import { attempt, WEBHOOK } from './llamaparse-harness.ts';

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
/** Keys of A that B does not know. */
type Unknown<A, B> = A extends unknown ? Exclude<keyof A, keyof B> : never;
const holds = <T extends true>(value: T = true as T): boolean => value;

const body = (): CreateBody =>
  createBody({
    tier: 'agentic',
    version: TIER_VERSIONS.agentic,
    fileId: 'dfl-1',
    request: { documentId: 'd', path: '/d.pdf', fileSha256: '0', mime: 'application/pdf', pages: 2 },
    attempt,
    webhook: WEBHOOK,
    lag: { userMetadata: false, webhookSecret: false },
  });

describe('our shapes and those of the official SDK', () => {
  it('agree on the request to parse', () => {
    const create: ParsingCreateParams = body();
    expect(create.tier).toBe('agentic');
    expect(holds<Same<Unknown<CreateBody, ParsingCreateParams>, never>>()).toBe(true);
    type Hook = NonNullable<CreateBody['webhook_configurations']>[number];
    expect(holds<Same<Unknown<Hook, ParsingCreateParams.WebhookConfiguration>, never>>()).toBe(true);
    type Conditions = CreateBody['processing_control']['job_failure_conditions'];
    type Known = ParsingCreateParams.ProcessingControl.JobFailureConditions;
    expect(holds<Same<Unknown<Conditions, Known>, never>>()).toBe(true);
    type Ranges = CreateBody['page_ranges'];
    expect(holds<Same<Unknown<Ranges, ParsingCreateParams.PageRanges>, never>>()).toBe(true);
  });

  it('agree on the status of a job in every answer', () => {
    expect(holds<Same<JobStatus, ParsingCreateResponse['status']>>()).toBe(true);
    expect(holds<Same<JobStatus, ParsingGetResponse['job']['status']>>()).toBe(true);
    expect(holds<Same<JobStatus, ParsingListResponse['status']>>()).toBe(true);
    expect(holds<Same<JobStatus, ParsingCancelResponse['status']>>()).toBe(true);
  });

  it('agree on a job and a list of jobs', () => {
    const flat = {
      id: 'pjb-1',
      project_id: 'p',
      status: 'FAILED',
      error_message: 'no',
      usage: { credits: 3 },
    } as const;
    const job: ParsingCreateResponse & ParsingListResponse = { ...flat, user_metadata: { tvdb_attempt: 'a' } };
    const wrapped: ParsingGetResponse = { job };
    const expected = { id: 'pjb-1', status: 'FAILED', errorMessage: 'no', credits: 3, correlation: { attempt: 'a' } };
    expect(readJob(job)).toMatchObject(expected);
    expect(readJob(wrapped)).toMatchObject(expected);
    expect(readJobList({ items: [job], next_page_token: null })).toMatchObject({ jobs: [expected], next: null });
  });

  it('agree on the pages of a result', () => {
    const markdown: ParsingGetResponse.Markdown = {
      pages: [
        { page_number: 1, success: true, markdown: '# a' },
        { page_number: 2, success: false, error: 'no' },
      ],
    };
    const text: ParsingGetResponse.Text = { pages: [{ page_number: 1, text: 'a' }] };
    expect(readPages({ markdown } satisfies Partial<ParsingGetResponse>)).toEqual([
      { number: 1, markdown: '# a' },
      { number: 2, error: 'no' },
    ]);
    expect(readPages({ text } satisfies Partial<ParsingGetResponse>)).toEqual([{ number: 1, markdown: 'a' }]);
  });

  it('agree on the names of what is asked for', () => {
    const get: ParsingGetParams = { expand: ['markdown', 'usage'] };
    const list: ParsingListParams = {
      created_at_on_or_after: '',
      created_at_on_or_before: '',
      page_size: 100,
      page_token: 'x',
    };
    const file: Omit<FileCreateParams, 'file'> = { purpose: 'parse', external_file_id: 'sha' };
    expect([get, list, file]).toHaveLength(3);
  });

  it('agree on files and versions', () => {
    const file: FileCreateResponse = { id: 'dfl-1', name: 'd.pdf', project_id: 'p' };
    expect(readFileId(file)).toBe('dfl-1');
    const versions: ParsingListVersionsResponse = {
      fast: ['2026-06-15'],
      cost_effective: ['2026-08-19'],
      agentic: ['2026-09-07'],
      agentic_plus: ['2026-08-19'],
      latest: TIER_VERSIONS,
    };
    for (const tier of ['fast', 'cost_effective', 'agentic', 'agentic_plus'] as const) {
      expect(readVersions(versions, tier)).toContain(TIER_VERSIONS[tier]);
    }
  });
});
