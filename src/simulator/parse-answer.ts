/** The JSON forms of a parse job: flat, and with the content that `expand` asks for. */
import { invalid, llamaRefusal } from './llama-errors.ts';
import { plainOf } from './page-text.ts';
import { ended, type ParseJob } from './parse-job.ts';

export const PROJECT_ID = 'prj-00000000-0000-4000-8000-000000000001';

const EXPANDS = [
  ...['text', 'markdown', 'items', 'metadata', 'forms', 'job_metadata', 'usage', 'text_full', 'markdown_full'],
  ...['text_content_metadata', 'markdown_content_metadata', 'items_content_metadata', 'metadata_content_metadata'],
  ...['forms_content_metadata', 'raw_words_content_metadata', 'xlsx_content_metadata', 'output_pdf_content_metadata'],
  ...['images_content_metadata', 'stripped_markdown_content_metadata'],
  'concatenated_stripped_markdown_content_metadata',
];

/** The flat job of create, cancel and list; get has it under `job`. `user_metadata` is unknown to a lagging region. */
export function jobJson(job: ParseJob): Record<string, unknown> {
  return {
    id: job.id,
    project_id: PROJECT_ID,
    status: job.status,
    created_at: new Date(job.createdAt).toISOString(),
    updated_at: new Date(job.updatedAt).toISOString(),
    error_message: job.errorMessage,
    name: job.name,
    tier: job.body.tier,
    ...(job.body.user_metadata && { user_metadata: job.body.user_metadata }),
  };
}

/**
 * The wrapped answer of get. Content of a job that has none yet is `null`. Throws `Refused` for an unknown `expand`, and
 * for markdown of a fast job that has none. `nullLooks` is how often `usage` says `null` before it says the figure.
 */
export function jobWithContent(
  job: ParseJob,
  expand: readonly string[],
  { fastMarkdown, nullLooks }: { fastMarkdown: boolean; nullLooks: number },
): Record<string, unknown> {
  const unknown = expand.find((name) => !EXPANDS.includes(name));
  if (unknown !== undefined)
    throw invalid(['query', 'expand'], `Value error, unknown expand value '${unknown}'`, unknown);
  const markdown = expand.some((name) => name.includes('markdown'));
  if (markdown && job.body.tier === 'fast' && !(fastMarkdown && job.version >= '2026-06-15')) {
    throw llamaRefusal(400, 'Markdown expansion is not available for FAST tier jobs.');
  }
  const done = job.status === 'COMPLETED';
  const content = expand
    .filter((name) => name !== 'usage')
    .map((name) => [
      name.endsWith('_content_metadata') ? 'result_content_metadata' : name,
      done ? contentOf(job, name) : null,
    ]);
  return {
    job: { ...jobJson(job), ...(expand.includes('usage') && { usage: { credits: usageOf(job, nullLooks) } }) },
    ...Object.fromEntries(content),
  };
}

/** The credits as they are told: billing lags behind, and some deployments say 0 for ever. */
function usageOf(job: ParseJob, nullLooks: number): number | null {
  if (!ended(job)) return null;
  job.usageLooks += 1;
  const hides = (action: string) => {
    const fault = job.faults.get(action);
    return fault !== undefined && job.usageLooks <= Number(fault.params.value ?? Number.POSITIVE_INFINITY);
  };
  if (hides('credits-null') || job.usageLooks <= nullLooks) return null;
  return hides('credits-zero') ? 0 : job.credits;
}

function contentOf(job: ParseJob, name: string): unknown {
  const pages = job.result;
  const failed = (page: (typeof pages)[number]) => ({ page_number: page.number, success: false, error: page.error });
  switch (name) {
    case 'text':
      // Text pages have no success flag: a failed page is an empty one.
      return { pages: pages.map((page) => ({ page_number: page.number, text: plainOf(page.markdown) })) };
    case 'markdown':
      return {
        pages: pages.map((page) =>
          page.error === undefined
            ? { page_number: page.number, success: true, markdown: page.markdown, header: null, footer: null }
            : failed(page),
        ),
      };
    case 'items':
      return {
        pages: pages.map((page) =>
          page.error === undefined
            ? {
                page_number: page.number,
                page_width: 612,
                page_height: 792,
                success: true,
                items: [{ type: 'text', md: page.markdown, value: plainOf(page.markdown) }],
              }
            : failed(page),
        ),
      };
    case 'forms':
      return { pages: pages.map((page) => ({ page_number: page.number, success: true, forms: [] })) };
    case 'metadata':
      return {
        pages: pages.map((page) => ({ page_number: page.number, confidence: 0.98, printed_page_number: null })),
        document: null,
      };
    case 'job_metadata':
      return { job_pages: pages.length, job_is_cache_hit: job.cacheHit };
    case 'text_full':
      return pages.map((page) => plainOf(page.markdown)).join('\n\n');
    case 'markdown_full':
      return pages.map((page) => page.markdown).join('\n\n');
    default:
      return {};
  }
}
