/** What reports of a period look up. */

export const name = '0005-reports';

export const sql = `
-- Answers of the caches by time; only a few of all events, so that the others are written as fast as before.
CREATE INDEX cache_answers ON job_events (at) WHERE code IN ('PARSE_CACHE_HIT', 'EMBED_CACHE_HIT');
`;
