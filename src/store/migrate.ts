/** Brings a store to the present schema, inside one IMMEDIATE transaction, so that many first starts at once are safe. */
import type BetterSqlite from 'better-sqlite3';
import { TvdbError } from '../base/errors.ts';
import * as pipeline from './migrations/0001-pipeline.ts';
import * as services from './migrations/0002-services.ts';
import * as money from './migrations/0003-money.ts';
import * as consent from './migrations/0004-consent.ts';
import * as reports from './migrations/0005-reports.ts';
import * as economy from './migrations/0006-economy.ts';
import * as holdStates from './migrations/0007-hold-states.ts';

/** Append-only: a released migration never changes. `user_version` counts how many have been applied. */
const MIGRATIONS: readonly { name: string; sql: string }[] = [
  ...[pipeline, services, money, consent, reports, economy, holdStates],
];

/** The schema version this build writes. */
export const SCHEMA_VERSION = MIGRATIONS.length;

/** Applies what is missing. Throws E107 when the store was made by a newer tvdb. */
export function migrate(sqlite: BetterSqlite.Database): void {
  if (currentVersion(sqlite) === SCHEMA_VERSION) return;
  sqlite
    .transaction(() => {
      // Read again under the write lock: another process may have migrated between the check and the lock.
      const version = currentVersion(sqlite);
      if (version > SCHEMA_VERSION) {
        throw new TvdbError('E107', {
          message: `The store has schema version ${version}; this tvdb knows ${SCHEMA_VERSION}`,
        });
      }
      for (const migration of MIGRATIONS.slice(version)) sqlite.exec(migration.sql);
      sqlite.pragma(`user_version = ${SCHEMA_VERSION}`);
    })
    .immediate();
}

function currentVersion(sqlite: BetterSqlite.Database): number {
  return sqlite.pragma('user_version', { simple: true }) as number;
}
