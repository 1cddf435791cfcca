/** One page of an ordered list, and the token with which the next page starts. */
export interface Page<Item> {
  items: Item[];
  /** Opaque to the caller; undefined on the last page. */
  skipToken: string | undefined;
}

const maxPageSize = 25;

/** A `maxresults` or `$skiptoken` that Key Vault refuses. */
export class BadPage extends Error {}

/**
 * Cuts one page out of items that are ordered by key.
 *
 * The token holds the last key shown, so a list that changes between two pages neither repeats nor skips what stays.
 * `maxresults` is 1 to 25, 25 when absent. @throws BadPage
 */
export function pageOf<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => string,
  query: URLSearchParams,
): Page<Item> {
  const size = readSize(query.get('maxresults'));
  const after = readToken(query.get('$skiptoken'));
  const rest = after === undefined ? items : items.filter((item) => keyOf(item) > after);
  const page = rest.slice(0, size);
  const last = page.at(-1);
  const hasMore = rest.length > size && last !== undefined;
  return { items: page, skipToken: hasMore ? Buffer.from(keyOf(last)).toString('base64url') : undefined };
}

function readSize(text: string | null): number {
  if (text === null) return maxPageSize;
  const size = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (size < 1 || size > maxPageSize) throw new BadPage(`maxresults must be a whole number from 1 to ${maxPageSize}.`);
  return size;
}

function readToken(token: string | null): string | undefined {
  if (token === null) return undefined;
  if (!/^[\w-]+$/.test(token))
    throw new BadPage('The $skiptoken is not one that this vault gave: follow nextLink as it is.');
  return Buffer.from(token, 'base64url').toString('utf8');
}
