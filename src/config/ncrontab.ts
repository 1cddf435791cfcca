/**
 * NCRONTAB schedules of Azure Functions (Microsoft reference: timer trigger): six fields, second to weekday, of `*`,
 * numbers, ranges, lists and steps; months and weekdays may be named.
 */

interface Field {
  minimum: number;
  maximum: number;
  names: readonly string[];
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const weekdays = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

const fields: readonly Field[] = [
  { minimum: 0, maximum: 59, names: [] },
  { minimum: 0, maximum: 59, names: [] },
  { minimum: 0, maximum: 23, names: [] },
  { minimum: 1, maximum: 31, names: [] },
  { minimum: 1, maximum: 12, names: months },
  { minimum: 0, maximum: 6, names: weekdays },
];

function isValue(text: string, { minimum, maximum, names }: Field): boolean {
  if (names.includes(text.toLowerCase())) return true;
  return /^\d{1,2}$/.test(text) && Number(text) >= minimum && Number(text) <= maximum;
}

function isPart(text: string, field: Field): boolean {
  const [range = '', step, ...others] = text.split('/');
  if (others.length > 0 || (step !== undefined && !/^[1-9]\d?$/.test(step))) return false;
  if (range === '*') return true;
  const ends = range.split('-');
  return ends.length <= 2 && ends.every((end) => isValue(end, field));
}

/** True for a text that the Functions host accepts as the schedule of a timer. */
export function isNcrontab(text: string): boolean {
  const parts = text.split(' ');
  return (
    parts.length === fields.length &&
    fields.every((field, index) => parts[index]?.split(',').every((part) => isPart(part, field)))
  );
}
