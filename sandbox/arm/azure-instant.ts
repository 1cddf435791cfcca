/**
 * An instant as .NET writes it: 7 fraction digits, of which a `Date` knows three.
 *
 * @param ticks The digits behind the milliseconds, 0 to 9999 (units of 100 ns).
 * @param suffix Endpoints end in `+00:00`, workspaces in `Z`.
 */
export function toAzureInstant(instant: Date, ticks: number, suffix: 'Z' | '+00:00'): string {
  return `${instant.toISOString().slice(0, -1)}${String(ticks % 10_000).padStart(4, '0')}${suffix}`;
}

/** Fraction digits that belong to an id: the same at each look, others for another id, and never all zero. */
export function ticksOf(guid: string): number {
  return (Number.parseInt(guid.slice(0, 6), 16) % 9999) + 1;
}
