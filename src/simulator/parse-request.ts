/** Checks the body of a parse create call as strictly as the service: unknown keys, types, version for the tier, one source. */
import { isRecord } from './exchange.ts';
import { readTargetPages } from './page-ranges.ts';
import { LATEST, PARSE_VERSIONS } from './parse-versions.ts';

/** One entry of the `detail` list of a FastAPI 422. */
export interface Complaint {
  readonly type: string;
  readonly loc: readonly (string | number)[];
  readonly msg: string;
  readonly input: unknown;
}

export interface WebhookConfiguration {
  webhook_url?: string | null;
  webhook_events?: string[] | null;
  webhook_headers?: Record<string, unknown> | null;
  webhook_output_format?: 'json' | 'string' | null;
  webhook_signing_secret?: string | null;
}

/** A body that passed the checks. */
export interface ParseBody {
  tier: string;
  version: string;
  file_id?: string | null;
  source_url?: string | null;
  disable_cache?: boolean | null;
  page_ranges?: { max_pages?: number | null; target_pages?: string | null } | null;
  processing_control?: { job_failure_conditions?: { allowed_page_failure_ratio?: number | null } | null } | null;
  processing_options?: { confidence_score_effort?: 'high' | null } | null;
  user_metadata?: Record<string, string> | null;
  client_name?: string | null;
  webhook_configurations?: WebhookConfiguration[] | null;
  [option: string]: unknown;
}

type Shape = 'string' | 'boolean' | 'integer' | 'number' | 'any' | 'object' | 'strings' | 'map' | Fields | ListOf;
interface Fields {
  readonly fields: Readonly<Record<string, Shape>>;
}
interface ListOf {
  readonly each: Fields;
}

const WEBHOOK: Fields = {
  fields: {
    webhook_url: 'string',
    webhook_events: 'strings',
    webhook_headers: 'object',
    webhook_output_format: 'string',
    webhook_signing_secret: 'string',
  },
};

/** The parse request of SDK 2.16; groups whose inside does not matter here are plain objects. */
const BODY: Fields = {
  fields: {
    tier: 'string',
    version: 'string',
    file_id: 'string',
    source_url: 'string',
    http_proxy: 'string',
    disable_cache: 'boolean',
    client_name: 'string',
    configuration_id: 'string',
    user_metadata: 'map',
    page_ranges: { fields: { max_pages: 'integer', target_pages: 'string' } },
    processing_control: {
      fields: {
        timeouts: { fields: { base_in_seconds: 'integer', extra_time_per_page_in_seconds: 'integer' } },
        job_failure_conditions: {
          fields: {
            allowed_page_failure_ratio: 'number',
            fail_on_buggy_font: 'boolean',
            fail_on_image_extraction_error: 'boolean',
            fail_on_image_ocr_error: 'boolean',
            fail_on_markdown_reconstruction_error: 'boolean',
          },
        },
      },
    },
    processing_options: {
      fields: {
        aggressive_table_extraction: 'boolean',
        auto_mode_configuration: 'any',
        confidence_score_effort: 'string',
        cost_optimizer: { fields: { enable: 'boolean' } },
        disable_heuristics: 'boolean',
        forms: 'string',
        ignore: 'object',
        ocr_parameters: 'object',
        specialized_chart_parsing: 'string',
      },
    },
    agentic_options: { fields: { custom_prompt: 'string' } },
    crop_box: { fields: { bottom: 'number', left: 'number', right: 'number', top: 'number' } },
    fast_options: 'any',
    input_options: 'object',
    output_options: 'object',
    webhook_configurations: { each: WEBHOOK },
    webhook_configuration_ids: 'strings',
  },
};

const EVENTS = ['pending', 'running', 'success', 'error', 'partial_success', 'cancelled'].map(
  (name) => `parse.${name}`,
);

/**
 * Everything that is wrong with a body, an empty list when it is fine. `uploaded`: the file came with the call, so
 * `file_id` and `source_url` must both be absent. `lagging`: keys that an older region does not know are unknown.
 */
export function complaintsAbout(
  body: unknown,
  { uploaded, lagging }: { uploaded: boolean; lagging: boolean },
): Complaint[] {
  const found: Complaint[] = [];
  const complain = (type: string, loc: readonly (string | number)[], msg: string, input: unknown) =>
    found.push({ type, loc: ['body', ...loc], msg, input });
  checkShape(body, BODY, [], complain, lagging);
  if (!isRecord(body) || found.length > 0) return found;

  for (const field of ['tier', 'version']) {
    if (body[field] === undefined || body[field] === null) complain('missing', [field], 'Field required', body);
  }
  const { tier, version, file_id: fileId, source_url: sourceUrl } = body;
  if (typeof tier === 'string' && PARSE_VERSIONS[tier] === undefined) {
    complain('literal_error', ['tier'], `Input should be ${quoted(Object.keys(PARSE_VERSIONS))}`, tier);
  } else if (typeof tier === 'string' && typeof version === 'string' && resolveVersion(tier, version) === undefined) {
    complain('value_error', ['version'], `Value error, version '${version}' is not valid for tier '${tier}'`, version);
  }
  const sources = [fileId, sourceUrl].filter((source) => source !== undefined && source !== null).length;
  if (sources !== (uploaded ? 0 : 1)) {
    const msg = uploaded
      ? 'Value error, file_id and source_url cannot be used with an uploaded file'
      : 'Value error, exactly one of file_id and source_url must be given';
    complain('value_error', [], msg, body);
  }
  if (typeof sourceUrl === 'string' && !/^https?:/.test(sourceUrl)) {
    complain('string_pattern_mismatch', ['source_url'], "String should match pattern '^https?:'", sourceUrl);
  }
  checkRanges(body as ParseBody, complain);
  checkWebhooks(body as ParseBody, complain);
  return found;
}

/** The dated version that is meant, or `undefined` when the tier has no such version. */
export function resolveVersion(tier: string, version: string): string | undefined {
  return version === 'latest' ? LATEST[tier] : PARSE_VERSIONS[tier]?.find((known) => known === version);
}

type Complain = (type: string, loc: readonly (string | number)[], msg: string, input: unknown) => void;

const NEWER = ['webhook_signing_secret', 'user_metadata'];

function checkShape(
  value: unknown,
  shape: Shape,
  loc: (string | number)[],
  complain: Complain,
  lagging: boolean,
): void {
  if (value === null && loc.length > 0) return;
  if (typeof shape === 'string') {
    const problem = SCALARS[shape](value);
    if (problem !== undefined) complain(problem[0], loc, problem[1], value);
    return;
  }
  if ('each' in shape) {
    if (!Array.isArray(value)) complain('list_type', loc, 'Input should be a valid list', value);
    else for (const [index, item] of value.entries()) checkShape(item, shape.each, [...loc, index], complain, lagging);
    return;
  }
  if (!isRecord(value)) {
    complain(
      'model_attributes_type',
      loc,
      'Input should be a valid dictionary or object to extract fields from',
      value,
    );
    return;
  }
  for (const [key, inner] of Object.entries(value)) {
    const known = lagging && NEWER.includes(key) ? undefined : shape.fields[key];
    if (known === undefined) complain('extra_forbidden', [...loc, key], 'Extra inputs are not permitted', inner);
    else checkShape(inner, known, [...loc, key], complain, lagging);
  }
}

const SCALARS: Record<Extract<Shape, string>, (value: unknown) => [type: string, msg: string] | undefined> = {
  string: (value) => (typeof value === 'string' ? undefined : ['string_type', 'Input should be a valid string']),
  boolean: (value) => (typeof value === 'boolean' ? undefined : ['bool_type', 'Input should be a valid boolean']),
  integer: (value) => (Number.isInteger(value) ? undefined : ['int_type', 'Input should be a valid integer']),
  number: (value) => (typeof value === 'number' ? undefined : ['float_type', 'Input should be a valid number']),
  any: () => undefined,
  object: (value) => (isRecord(value) ? undefined : ['dict_type', 'Input should be a valid dictionary']),
  strings: (value) =>
    Array.isArray(value) && value.every((item) => typeof item === 'string')
      ? undefined
      : ['list_type', 'Input should be a valid list of strings'],
  map: (value) =>
    isRecord(value) && Object.values(value).every((item) => typeof item === 'string')
      ? undefined
      : ['dict_type', 'Input should be a valid dictionary of strings'],
};

function checkRanges({ page_ranges: ranges }: ParseBody, complain: Complain): void {
  const { max_pages: most, target_pages: target } = ranges ?? {};
  if (typeof most === 'number' && most < 1) {
    complain('greater_than_equal', ['page_ranges', 'max_pages'], 'Input should be greater than or equal to 1', most);
  }
  const wanted = typeof target === 'string' ? readTargetPages(target) : [];
  if (typeof wanted === 'string')
    complain('value_error', ['page_ranges', 'target_pages'], `Value error, ${wanted}`, target);
}

function checkWebhooks({ webhook_configurations: configurations }: ParseBody, complain: Complain): void {
  configurations?.forEach((one, index) => {
    const loc = (field: string) => ['webhook_configurations', index, field];
    const { webhook_url: url, webhook_events: events, webhook_output_format: format } = one;
    if (typeof url === 'string' && !/^https?:/.test(url)) {
      complain('string_pattern_mismatch', loc('webhook_url'), "String should match pattern '^https?:'", url);
    }
    if (typeof format === 'string' && format !== 'json' && format !== 'string') {
      complain('literal_error', loc('webhook_output_format'), "Input should be 'json' or 'string'", format);
    }
    const unknown = events?.find((event) => !EVENTS.includes(event));
    if (unknown !== undefined) {
      complain('literal_error', loc('webhook_events'), `Input should be ${quoted(EVENTS)}`, unknown);
    }
  });
}

function quoted(words: readonly string[]): string {
  return words.map((word) => `'${word}'`).join(', ');
}
