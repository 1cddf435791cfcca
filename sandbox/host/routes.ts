import { StartError } from './start-error.ts';

export interface RouteOptions<T> {
  functionName: string;
  /** ASP.NET Core route template without prefix, such as `items/{id:int?}`. */
  template: string;
  methods: readonly string[];
  target: T;
}

export interface RouteMatch<T> {
  target: T;
  params: Record<string, string>;
}

interface Segment {
  /** Lower is matched first: literal 1, constrained parameter 2, parameter 3, catch-all 4. */
  rank: number;
  /** Same for two segments that match the same texts. */
  shape: string;
  name?: string;
  optional: boolean;
  matches(text: string): boolean;
}

interface Route<T> extends RouteOptions<T> {
  segments: Segment[];
}

const CONSTRAINTS: Record<string, (text: string, args: number[]) => boolean> = {
  int: (text) => /^[+-]?\d+$/.test(text) && Number(text) >= -2147483648 && Number(text) <= 2147483647,
  guid: (text) => /^(?:[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i.test(text),
  bool: (text) => /^(?:true|false)$/i.test(text),
  alpha: (text) => /^[a-z]*$/i.test(text),
  length: (text, [min = 0, max = min]) => text.length >= min && text.length <= max,
};

/**
 * Compiles the routes of all HTTP functions into one look-up by method and path. The more exact template wins, segment by segment: literal,
 * then constrained parameter, parameter, catch-all. Letter case in literals does not matter. A method that no matching template has gives no
 * match, since the method is part of the route.
 * Throws a `StartError` for a template that this host cannot read, one that takes a path of the host itself, or two that cannot be told apart.
 * Source: https://learn.microsoft.com/aspnet/core/fundamentals/routing
 */
export function compileRoutes<T>(
  prefix: string,
  options: readonly RouteOptions<T>[],
): (method: string, segments: readonly string[]) => RouteMatch<T> | undefined {
  const routes: Route<T>[] = options.map((option) => ({ ...option, segments: compileTemplate(prefix, option) }));
  refuseConflicts(routes);
  routes.sort(byPrecedence);
  return (method, path) => {
    for (const route of routes) {
      const params = route.methods.includes(method) ? matchSegments(route.segments, path) : undefined;
      if (params) return { target: route.target, params };
    }
    return undefined;
  };
}

function compileTemplate<T>(prefix: string, { functionName, template }: RouteOptions<T>): Segment[] {
  const refuse = (why: string) => new StartError(`The route "${template}" of the function "${functionName}" ${why}.`);
  const route = template.replace(/^\/+|\/+$/g, '');
  if (/^(?:admin|runtime)/i.test(route)) {
    throw refuse('conflicts with one or more built in routes: it must not begin with "admin" or "runtime"');
  }
  const texts = [...prefix.split('/'), ...route.split('/')].filter((text) => text !== '');
  const segments = texts.map((text) => compileSegment(text, refuse));
  segments.forEach((segment, at) => {
    const last = at === segments.length - 1;
    if (!last && segment.optional) throw refuse('has an optional or catch-all parameter that is not the last segment');
  });
  return segments;
}

function compileSegment(text: string, refuse: (why: string) => StartError): Segment {
  if (!/[{}]/.test(text)) {
    const literal = text.toLowerCase();
    return { rank: 1, shape: literal, optional: false, matches: (part) => part.toLowerCase() === literal };
  }
  const match = /^\{(\*{0,2})([A-Za-z_]\w*)((?::[a-z]+(?:\([\d,\s]+\))?)*)(\??)\}$/.exec(text);
  if (!match)
    throw refuse(
      `has the segment "${text}", which the development host cannot read: use one {parameter} or plain text`,
    );
  const [, stars = '', name = '', constraintText = '', question = ''] = match;
  const checks = [...constraintText.matchAll(/:([a-z]+)(?:\(([\d,\s]+)\))?/g)].map(([, kind = '', args]) => {
    const check = CONSTRAINTS[kind];
    if (!check)
      throw refuse(`uses the constraint "${kind}"; the development host knows ${Object.keys(CONSTRAINTS).join(', ')}`);
    const numbers = args ? args.split(',').map(Number) : [];
    return (part: string) => check(part, numbers);
  });
  const catchAll = stars !== '';
  return {
    rank: catchAll ? 4 : checks.length > 0 ? 2 : 3,
    shape: `{${stars && '*'}${constraintText}}`,
    name,
    optional: catchAll || question !== '',
    matches: (part) => (catchAll || part !== '') && checks.every((check) => check(part)),
  };
}

/** The parameter values when `path` matches, undefined when not. */
function matchSegments(segments: readonly Segment[], path: readonly string[]): Record<string, string> | undefined {
  const params: Record<string, string> = {};
  let used = 0;
  for (const segment of segments) {
    const catchAll = segment.rank === 4;
    const part = catchAll ? path.slice(used).join('/') : path[used];
    if (part === undefined || (catchAll && part === '')) {
      if (!segment.optional) return undefined;
      continue;
    }
    if (!segment.matches(part)) return undefined;
    if (segment.name) params[segment.name] = part;
    used = catchAll ? path.length : used + 1;
  }
  return used === path.length ? params : undefined;
}

function refuseConflicts<T>(routes: readonly Route<T>[]): void {
  const taken = new Map<string, Route<T>>();
  for (const route of routes) {
    for (const method of route.methods) {
      const key = `${method} /${route.segments.map((segment) => segment.shape).join('/')}`;
      const other = taken.get(key);
      if (other) {
        throw new StartError(
          `The functions "${other.functionName}" and "${route.functionName}" both have the route ${method} "${route.template}". Change one of them.`,
        );
      }
      taken.set(key, route);
    }
  }
}

function byPrecedence<T>(a: Route<T>, b: Route<T>): number {
  const length = Math.max(a.segments.length, b.segments.length);
  for (let at = 0; at < length; at++) {
    const difference = (a.segments[at]?.rank ?? 0) - (b.segments[at]?.rank ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
