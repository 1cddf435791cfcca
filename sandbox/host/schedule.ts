import { Cron } from 'croner';
import { StartError } from './start-error.ts';

/** The instants at which a timer fires, in UTC. */
export interface Schedule {
  /** The first instant after `instant`. */
  next(instant: Date): Date;
}

interface Field {
  name: string;
  min: number;
  max: number;
  names: readonly string[];
}

const FIELDS: readonly Field[] = [
  { name: 'second', min: 0, max: 59, names: [] },
  { name: 'minute', min: 0, max: 59, names: [] },
  { name: 'hour', min: 0, max: 23, names: [] },
  { name: 'day', min: 1, max: 31, names: [] },
  {
    name: 'month',
    min: 1,
    max: 12,
    names: ['', 'jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'],
  },
  { name: 'day-of-week', min: 0, max: 6, names: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] },
];

/**
 * Compiles an NCRONTAB expression: `{second} {minute} {hour} {day} {month} {day-of-week}`, or five fields with the second taken as 0.
 * Day and day-of-week must both match, unlike Unix cron. `L`, `W`, `#`, `?` and nicknames, which other cron dialects have, are refused.
 * Throws a `StartError` that names the field. Source: https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer#ncrontab-expressions
 */
export function compileSchedule(expression: string): Schedule {
  const parts = expression.trim().split(/\s+/);
  const six = parts.length === 5 ? ['0', ...parts] : parts;
  if (six.length !== 6) {
    throw new StartError(
      `"${expression}" is no NCRONTAB schedule: it needs the 6 fields {second} {minute} {hour} {day} {month} {day-of-week}.`,
    );
  }
  const pattern = FIELDS.map((field, at) => normalizeField(field, six[at] ?? '', expression)).join(' ');
  const cron = new Cron(pattern, { mode: '6-part', domAndDow: true, timezone: 'UTC', paused: true });
  if (!cron.nextRun()) throw new StartError(`The schedule "${expression}" never fires: no date matches it.`);
  return {
    next(instant) {
      const next = cron.nextRun(instant);
      if (!next) throw new StartError(`The schedule "${expression}" has no run after ${instant.toISOString()}.`);
      return next;
    },
  };
}

/** Whether two of the next runs lie less than a minute apart. The real host keeps no status for such a timer. */
export function runsMoreThanOncePerMinute(schedule: Schedule, now: Date): boolean {
  let previous = schedule.next(now);
  for (let run = 0; run < 5; run++) {
    const next = schedule.next(previous);
    if (next.getTime() - previous.getTime() < 60_000) return true;
    previous = next;
  }
  return false;
}

/** One field, as the cron library wants it: names as numbers, `5/10` (from 5 on, every 10) as a range. */
function normalizeField(field: Field, text: string, expression: string): string {
  return text
    .split(',')
    .map((item) => {
      const [range = '', step, ...more] = item.split('/');
      const [from = '', to, ...rest] = range.split('-');
      if (more.length > 0 || rest.length > 0) throw badField(field, text, expression);
      if (step !== undefined && !/^[1-9]\d?$/.test(step)) throw badField(field, text, expression);
      if (range === '*') return step === undefined ? '*' : `*/${step}`;
      const first = fieldValue(field, from);
      const last = to === undefined ? (step === undefined ? first : field.max) : fieldValue(field, to);
      if (first === undefined || last === undefined || first > last) throw badField(field, text, expression);
      if (first === last) return `${first}`;
      return step === undefined ? `${first}-${last}` : `${first}-${last}/${step}`;
    })
    .join(',');
}

function fieldValue(field: Field, text: string): number | undefined {
  const named = text === '' ? -1 : field.names.indexOf(text.toLowerCase());
  const value = named >= 0 ? named : /^\d{1,2}$/.test(text) ? Number(text) : undefined;
  return value !== undefined && value >= field.min && value <= field.max ? value : undefined;
}

function badField(field: Field, text: string, expression: string): StartError {
  return new StartError(
    `"${expression}" is no NCRONTAB schedule: the field ${field.name} cannot be "${text}". ` +
      `Use numbers from ${field.min} to ${field.max} with * , - and /.`,
  );
}
