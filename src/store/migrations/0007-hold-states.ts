/** Where holds stand is kept by the rows of the ledger themselves, in the order of time. */

export const name = '0007-hold-states';

export const sql = `
-- What the rows of spend add up to for each hold: triggers on spend write it, no program does. It is in the order of time,
-- so that a period is read as one stretch without an index; what is not here stands in the row of the hold in spend.
-- An index on what is open or on the run would be one more page to write for every hold: they are found by a scan.
CREATE TABLE hold_states (
  held_at INTEGER NOT NULL,
  attempt_id TEXT NOT NULL,
  run_id TEXT NOT NULL,
  service TEXT NOT NULL,
  amount INTEGER NOT NULL CHECK (amount > 0),
  units INTEGER NOT NULL CHECK (units > 0),
  state TEXT NOT NULL CHECK (state IN ('open', 'unknown', 'settled', 'released')),
  -- All that was charged, overrun and correction included.
  settled_amount INTEGER CHECK (settled_amount > 0),
  -- 1: settled at the hold because the service had not billed yet.
  provisional INTEGER NOT NULL DEFAULT 0 CHECK (provisional IN (0, 1)),
  ended_at INTEGER,
  PRIMARY KEY (held_at, attempt_id),
  CHECK ((settled_amount IS NULL) = (state <> 'settled')),
  CHECK ((ended_at IS NULL) = (state IN ('open', 'unknown'))),
  CHECK (provisional = 0 OR state = 'settled')
) STRICT, WITHOUT ROWID;

INSERT INTO hold_states (held_at, attempt_id, run_id, service, amount, units, state, settled_amount, provisional, ended_at)
  SELECT held_at, attempt_id, run_id, service, amount, units, state, settled_amount, provisional, ended_at FROM holds;
CREATE INDEX hold_states_provisional ON hold_states (held_at) WHERE provisional = 1;

DROP TABLE holds;
DROP INDEX spend_by_period;

-- One hold, one ending, one correction for each attempt, as before. What was seen may be seen again: the true figure of a
-- charge nobody asked for can come after it was acknowledged, and stops budgets anew.
DROP INDEX spend_once;
CREATE UNIQUE INDEX spend_once ON spend (attempt_id, (CASE WHEN kind IN ('settle', 'release') THEN 'ending'
  WHEN kind IN ('correction_up', 'correction_down', 'confirm') THEN 'correction' WHEN kind = 'acknowledge' THEN seq ELSE kind END));

-- A hold as a whole. By attempt it is found through spend_once, by time through hold_states.
CREATE VIEW holds AS
  SELECT s.attempt_id, s.job_id, h.run_id, h.service, s.cost_center, h.amount, h.units, s.unit_price, s.price_version, h.state,
    h.settled_amount, h.provisional, h.held_at, s.detail AS periods, h.ended_at
  FROM hold_states h JOIN spend s ON s.attempt_id = h.attempt_id AND s.kind = 'hold' AND s.held_at = h.held_at;

CREATE TRIGGER spend_opens_hold AFTER INSERT ON spend WHEN NEW.kind = 'hold' BEGIN
  INSERT INTO hold_states (held_at, attempt_id, run_id, service, amount, units, state)
    VALUES (NEW.held_at, NEW.attempt_id, NEW.run_id, NEW.service, NEW.amount, NEW.units, 'open');
END;

CREATE TRIGGER spend_moves_hold AFTER INSERT ON spend WHEN NEW.kind NOT IN ('hold', 'acknowledge') BEGIN
  SELECT RAISE(ABORT, 'a row of spend without its hold')
    WHERE NOT EXISTS (SELECT 1 FROM hold_states WHERE held_at = NEW.held_at AND attempt_id = NEW.attempt_id);
  UPDATE hold_states SET
    state = CASE NEW.kind WHEN 'settle' THEN 'settled' WHEN 'release' THEN 'released' WHEN 'unknown' THEN 'unknown' ELSE state END,
    settled_amount = CASE NEW.kind WHEN 'settle' THEN NEW.amount WHEN 'overrun' THEN settled_amount + NEW.amount
      WHEN 'correction_up' THEN settled_amount + NEW.amount WHEN 'correction_down' THEN settled_amount - NEW.amount
      ELSE settled_amount END,
    provisional = CASE WHEN NEW.kind = 'settle' THEN NEW.detail IS 'provisional'
      WHEN NEW.kind IN ('correction_up', 'correction_down', 'confirm') THEN 0 ELSE provisional END,
    ended_at = CASE WHEN NEW.kind IN ('settle', 'release') THEN NEW.at ELSE ended_at END
  WHERE held_at = NEW.held_at AND attempt_id = NEW.attempt_id;
END;
`;
