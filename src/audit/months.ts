/** One audit table a month: dropping a month is dropping a table, and the issuer never needs the right to delete. */

const prefix = 'audit';

/** `audit202611` for any instant of November 2026 (UTC). */
export function auditTableName(at: Date): string {
  return `${prefix}${at.getUTCFullYear()}${String(at.getUTCMonth() + 1).padStart(2, '0')}`;
}

function monthsAway(at: Date, months: number): Date {
  return new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + months, 1));
}

/** The tables that must exist now: this month’s and the next. */
export function neededTables(now: Date): string[] {
  return [auditTableName(now), auditTableName(monthsAway(now, 1))];
}

/** Of the tables that exist, the audit tables older than the retention; anything else is left alone. */
export function expiredTables(existing: readonly string[], now: Date, retentionMonths: number): string[] {
  const oldestKept = auditTableName(monthsAway(now, -retentionMonths));
  return existing.filter((name) => /^audit\d{6}$/.test(name) && name < oldestKept);
}
