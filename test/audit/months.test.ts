import { describe, expect, it } from 'vitest';
import { auditTableName, expiredTables, neededTables } from '../../src/audit/months.ts';

const at = (text: string) => new Date(text);

describe('auditTableName', () => {
  it.each([
    ['2026-11-22T10:00:00Z', 'audit202611'],
    ['2026-01-01T00:00:00.000Z', 'audit202601'],
    ['2026-12-31T23:59:59.999Z', 'audit202612'],
    ['2027-01-01T00:30:00+01:00', 'audit202612'],
    ['2026-12-31T23:30:00-01:00', 'audit202701'],
  ])('of %s is %s, by UTC', (instant, name) => {
    expect(auditTableName(at(instant))).toBe(name);
  });
});

describe('neededTables', () => {
  it.each([
    ['2026-11-22T10:00:00Z', ['audit202611', 'audit202612']],
    ['2026-12-31T23:59:59Z', ['audit202612', 'audit202701']],
    ['2027-01-01T00:00:00Z', ['audit202701', 'audit202702']],
    ['2027-01-31T12:00:00Z', ['audit202701', 'audit202702']],
  ])('at %s are %j', (instant, names) => {
    expect(neededTables(at(instant))).toEqual(names);
  });
});

describe('expiredTables', () => {
  const year = Array.from({ length: 12 }, (_, month) => `audit2026${String(month + 1).padStart(2, '0')}`);

  it('keeps the retention’s whole months beside the current one', () => {
    expect(expiredTables(year, at('2026-12-15T00:00:00Z'), 3)).toEqual(year.slice(0, 8));
  });

  it('counts back over the end of a year', () => {
    const tables = ['audit202510', 'audit202511', 'audit202512', 'audit202601'];
    expect(expiredTables(tables, at('2026-01-31T23:59:59Z'), 2)).toEqual(['audit202510']);
    expect(expiredTables(tables, at('2026-02-01T00:00:00Z'), 2)).toEqual(['audit202510', 'audit202511']);
  });

  it('counts back over several years', () => {
    const tables = ['audit202310', 'audit202311', 'audit202312'];
    expect(expiredTables(tables, at('2026-11-22T00:00:00Z'), 36)).toEqual(['audit202310']);
  });

  it('never names a table that is needed', () => {
    const now = at('2026-12-31T23:59:59Z');
    expect(expiredTables(neededTables(now), now, 0)).toEqual([]);
  });

  it('leaves tables alone that are not its own', () => {
    const foreign = ['audit', 'audit2020', 'audit20200', 'audit2020011', 'audit202001x', 'xaudit202001', 'auditlog'];
    const others = ['endpointtokens', 'Audit202001', 'audits202001', 'audit-202001', ''];
    expect(expiredTables([...foreign, ...others, 'audit202001'], at('2026-11-22T00:00:00Z'), 1)).toEqual([
      'audit202001',
    ]);
  });
});
