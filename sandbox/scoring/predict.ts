import * as z from 'zod';

const rows = z.object({ data: z.array(z.array(z.number())) });

/**
 * The pretend model: one number per row of `{ "data": [[…], …] }`, the weighted sum of the row; for any other JSON a
 * single zero. Undefined when the body is not JSON.
 */
export function predict(body: Buffer): number[] | undefined {
  let json: unknown;
  try {
    json = JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
  const parsed = rows.safeParse(json);
  if (!parsed.success) return [0];
  return parsed.data.data.map((row) => row.reduce((sum, value, index) => sum + value * (index + 0.5), 0));
}
