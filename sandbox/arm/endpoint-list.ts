import type { Endpoint } from './endpoint-store.ts';

export interface EndpointPage {
  items: Endpoint[];
  /** Where the next page starts, opaque to the caller; undefined on the last page. */
  skip: string | undefined;
}

/** A list query that Azure ML refuses. */
export class BadListQuery extends Error {}

const defaultPageSize = 30;
const orders = ['CreatedAtDesc', 'CreatedAtAsc', 'UpdatedAtDesc', 'UpdatedAtAsc'];

/**
 * Filters, orders and cuts a list of endpoints by the query `name`, `computeType`, `tags`, `properties`, `orderBy`,
 * `count` and `$skip`. Without `orderBy` the order is by name. @throws BadListQuery
 */
export function pageOfEndpoints(endpoints: readonly Endpoint[], query: URLSearchParams): EndpointPage {
  const orderBy = query.get('orderBy');
  if (orderBy !== null && !orders.includes(orderBy))
    throw new BadListQuery(`orderBy must be one of ${orders.join(', ')}.`);
  const size = readCount(query.get('count'));
  const isDescending = orderBy?.endsWith('Desc') === true;
  const isAfter = (a: string, b: string) => (isDescending ? a < b : a > b);
  const keyOf = (endpoint: Endpoint) => sortKey(endpoint, orderBy);
  const ordered = endpoints
    .filter((endpoint) => passes(endpoint, query))
    .toSorted((a, b) => (isAfter(keyOf(a), keyOf(b)) ? 1 : -1));
  const last = query.get('$skip');
  const start = last === null ? '' : Buffer.from(last, 'base64url').toString('utf8');
  const rest = last === null ? ordered : ordered.filter((endpoint) => isAfter(keyOf(endpoint), start));
  const items = rest.slice(0, size);
  const lastItem = items.at(-1);
  const hasMore = rest.length > size && lastItem !== undefined;
  return { items, skip: hasMore ? Buffer.from(keyOf(lastItem)).toString('base64url') : undefined };
}

function sortKey({ name, created, modified }: Endpoint, orderBy: string | null): string {
  if (orderBy === null) return name.toLowerCase();
  return `${(orderBy.startsWith('Created') ? created : modified).toISOString()} ${name.toLowerCase()}`;
}

function passes(endpoint: Endpoint, query: URLSearchParams): boolean {
  const name = query.get('name');
  const computeType = query.get('computeType');
  return (
    (name === null || endpoint.name.toLowerCase() === name.toLowerCase()) &&
    (computeType === null || computeType === (endpoint.compute === null ? 'Managed' : 'Kubernetes')) &&
    hasAll(endpoint.tags, query.get('tags')) &&
    hasAll(endpoint.properties, query.get('properties'))
  );
}

/** A filter is a comma-separated list of `key` or `key=value`. */
function hasAll(values: Readonly<Record<string, string>>, filter: string | null): boolean {
  if (filter === null) return true;
  return filter.split(',').every((part) => {
    const [key = '', value] = part.split('=', 2);
    return value === undefined ? key in values : values[key] === value;
  });
}

function readCount(text: string | null): number {
  if (text === null) return defaultPageSize;
  const count = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (count < 1) throw new BadListQuery('count must be a whole number from 1.');
  return count;
}
