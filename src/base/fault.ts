/**
 * Named places where the crash tests kill the process (`npm run test:crash`). In normal use `reach` is one comparison.
 *
 * Armed by TVDB_FAULT=<point>[:<nth>]: the nth time the point is reached the process sends itself SIGKILL, exactly as a
 * power cut or the kernel's OOM killer would end it: no handler, no flush, no `finally`.
 */

/** Every fault point, in the order a document meets them. A point that no crash run reaches fails the crash tests. */
export const FAULT_POINTS = [
  'upload.bytes_staged',
  'upload.bytes_stored',
  'upload.accepted',
  'job.claimed',
  'parse.before_intent',
  'parse.after_intent',
  'parse.mid_upload',
  'parse.bytes_sent',
  'parse.before_send',
  'parse.after_send',
  'parse.id_recorded',
  'webhook.before_commit',
  'parse.result_fetched',
  'stage.before_commit',
  'stage.after_commit',
  'chunk.buffering',
  'embed.before_batch',
  'embed.after_batch',
  'embed.batch_committed',
  'economy.file_uploaded',
  'economy.before_create',
  'economy.after_create',
  'economy.id_recorded',
  'economy.results_fetched',
  'economy.rows_committed',
  'economy.before_delete',
  'finalize.markdown_written',
  'finalize.before_promote',
  'finalize.after_promote',
  'delete.before_files',
] as const;

export type FaultPoint = (typeof FAULT_POINTS)[number];

let armed: { point: string; remaining: number } | undefined;

/** Arms a point from its text form, or disarms all with `undefined`. Called once, by `main`. */
export function armFault(spec: string | undefined): void {
  if (spec === undefined || spec === '') {
    armed = undefined;
    return;
  }
  const [point = '', nth = '1'] = spec.split(':');
  armed = { point, remaining: Math.max(1, Number.parseInt(nth, 10) || 1) };
}

/** Marks a place where a crash must be harmless. */
export function reach(point: FaultPoint): void {
  if (armed === undefined || armed.point !== point) return;
  armed.remaining -= 1;
  if (armed.remaining === 0) process.kill(process.pid, 'SIGKILL');
}
