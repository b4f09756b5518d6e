/** What people agreed to spend, with the job it was agreed for. */

export const name = '0004-consent';

export const sql = `
-- Nano-USD this job may spend in all, as agreed at its upload; NULL: nobody was asked.
ALTER TABLE upload_jobs ADD COLUMN consent_nano_usd INTEGER CHECK (consent_nano_usd >= 0);
`;
