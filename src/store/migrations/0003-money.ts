/** The ledger: immutable rows in a hash chain, the holds and totals they add up to, and the budgets. */

export const name = '0003-money';

export const sql = `
-- What happened to money, for good. Each row carries a hash over itself and the row before.
CREATE TABLE spend (
  seq INTEGER PRIMARY KEY CHECK (seq > 0),
  at INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('hold', 'settle', 'release', 'unknown', 'overrun', 'correction_up', 'correction_down',
    'confirm', 'acknowledge')),
  attempt_id TEXT NOT NULL,
  job_id TEXT,
  run_id TEXT NOT NULL,
  service TEXT NOT NULL CHECK (service IN ('llamaparse', 'openai')),
  cost_center TEXT,
  -- Mock calls never enter the ledger.
  origin TEXT NOT NULL CHECK (origin = 'real'),
  -- When the hold was made: fixes the periods in which it counts, whenever it ends.
  held_at INTEGER NOT NULL,
  hold_amount INTEGER NOT NULL CHECK (hold_amount BETWEEN 1 AND 1000000000000000),
  amount INTEGER CHECK (amount BETWEEN 1 AND 1000000000000000),
  units INTEGER NOT NULL CHECK (units > 0),
  unit_price INTEGER NOT NULL CHECK (unit_price > 0),
  price_version TEXT NOT NULL,
  detail TEXT,
  prev_hash TEXT NOT NULL CHECK (length(prev_hash) = 64),
  hash TEXT NOT NULL CHECK (length(hash) = 64),
  CHECK ((amount IS NULL) = (kind IN ('confirm', 'acknowledge'))),
  CHECK (kind NOT IN ('hold', 'release', 'unknown') OR amount = hold_amount),
  CHECK (kind <> 'settle' OR amount <= hold_amount)
) STRICT;
-- One hold, one ending, one correction for each attempt, whatever a program tries.
CREATE UNIQUE INDEX spend_once ON spend (attempt_id, (CASE WHEN kind IN ('settle', 'release') THEN 'ending'
  WHEN kind IN ('correction_up', 'correction_down', 'confirm') THEN 'correction' ELSE kind END));
CREATE INDEX spend_by_period ON spend (held_at);
-- Charges above the hold: they stop budgets until they are acknowledged.
CREATE INDEX spend_overruns ON spend (attempt_id) WHERE kind IN ('overrun', 'correction_up');
CREATE TRIGGER spend_no_update BEFORE UPDATE ON spend BEGIN SELECT RAISE(ABORT, 'spend is append-only'); END;
CREATE TRIGGER spend_no_delete BEFORE DELETE ON spend BEGIN SELECT RAISE(ABORT, 'spend is append-only'); END;

-- Neither does INSERT OR REPLACE, which asks no DELETE trigger, replace a row.
CREATE TRIGGER spend_follows BEFORE INSERT ON spend
  WHEN NEW.seq IS NOT COALESCE((SELECT MAX(seq) FROM spend), 0) + 1 BEGIN SELECT RAISE(ABORT, 'spend is append-only'); END;

-- Where each hold stands: what its rows in spend add up to.
CREATE TABLE holds (
  attempt_id TEXT PRIMARY KEY,
  job_id TEXT,
  run_id TEXT NOT NULL,
  service TEXT NOT NULL,
  cost_center TEXT,
  amount INTEGER NOT NULL CHECK (amount > 0),
  units INTEGER NOT NULL CHECK (units > 0),
  unit_price INTEGER NOT NULL CHECK (unit_price > 0),
  price_version TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'unknown', 'settled', 'released')),
  -- All that was charged, overrun and correction included.
  settled_amount INTEGER CHECK (settled_amount > 0),
  -- 1: settled at the hold because the service had not billed yet.
  provisional INTEGER NOT NULL DEFAULT 0 CHECK (provisional IN (0, 1)),
  held_at INTEGER NOT NULL,
  -- JSON array of the periods it was made in, as they are named in the time zone of then.
  periods TEXT NOT NULL,
  ended_at INTEGER,
  CHECK ((settled_amount IS NULL) = (state <> 'settled')),
  CHECK ((ended_at IS NULL) = (state IN ('open', 'unknown'))),
  CHECK (provisional = 0 OR state = 'settled')
) STRICT, WITHOUT ROWID;
-- Here rather than on spend, and none by job, which attempts have: each index is one more page to write for every hold.
CREATE INDEX holds_by_run ON holds (run_id);
CREATE INDEX holds_open ON holds (held_at) WHERE state IN ('open', 'unknown');
CREATE INDEX holds_provisional ON holds (held_at) WHERE provisional = 1;

CREATE TABLE budgets (
  budget_id INTEGER PRIMARY KEY,
  scope TEXT NOT NULL CHECK (scope IN ('all', 'service', 'cost_center', 'run')),
  -- The service, cost center or run; empty for 'all' and for every run.
  scope_value TEXT NOT NULL,
  span TEXT NOT NULL CHECK (span IN ('run', 'hour', 'day', 'month')),
  measure TEXT NOT NULL CHECK (measure IN ('cost', 'requests')),
  -- Nano-USD or requests in force; NULL: none, the row only remembers a stop.
  limit_value INTEGER CHECK (limit_value BETWEEN 0 AND 9007199254740991),
  hard INTEGER NOT NULL CHECK (hard IN (0, 1)),
  source TEXT NOT NULL CHECK (source IN ('default', 'variable', 'user', 'flag')),
  -- What the user set in the store; a variable that is set hides it.
  user_limit INTEGER CHECK (user_limit BETWEEN 0 AND 9007199254740991),
  user_hard INTEGER CHECK (user_hard IN (0, 1)),
  -- The attempt that overran, until it is acknowledged.
  frozen_by TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  UNIQUE (scope, scope_value, span, measure),
  CHECK (scope <> 'run' OR span = 'run'),
  CHECK (scope <> 'all' OR (span <> 'run' AND scope_value = '')),
  CHECK (scope NOT IN ('service', 'cost_center') OR scope_value <> '')
) STRICT;

-- Cached totals of a budget in a period: always the fold over spend. A row is made at the first hold and may be dropped.
CREATE TABLE budget_windows (
  budget_id INTEGER NOT NULL REFERENCES budgets (budget_id) ON DELETE CASCADE,
  period_id TEXT NOT NULL,
  run_id TEXT,
  from_at INTEGER,
  until_at INTEGER,
  opened_at INTEGER NOT NULL,
  spent INTEGER NOT NULL CHECK (spent BETWEEN 0 AND 9007199254740991),
  held INTEGER NOT NULL CHECK (held BETWEEN 0 AND 9007199254740991),
  requests INTEGER NOT NULL CHECK (requests >= 0),
  PRIMARY KEY (budget_id, period_id),
  CHECK ((run_id IS NULL) = (from_at IS NOT NULL) AND (from_at IS NULL) = (until_at IS NULL) AND (until_at IS NULL OR until_at > from_at))
) STRICT, WITHOUT ROWID;
CREATE INDEX budget_windows_by_end ON budget_windows (until_at) WHERE until_at IS NOT NULL;
CREATE INDEX budget_windows_by_run ON budget_windows (run_id) WHERE run_id IS NOT NULL;
`;
