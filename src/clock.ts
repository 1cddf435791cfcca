/** Tells the time. Handed in everywhere, so that tests move it. */
export type Clock = () => Date;

/** The instant `seconds` after `start`; negative seconds go back. */
export function addSeconds(start: Date, seconds: number): Date {
  return new Date(start.getTime() + seconds * 1000);
}

/** Seconds from `start` to `end`, with fractions; negative when `end` is earlier. */
export function secondsBetween(start: Date, end: Date): number {
  return (end.getTime() - start.getTime()) / 1000;
}
