/**
 * Keeps what was made for as long as the part of the policy that it was made from stays the same, so that a change
 * elsewhere in the policy forgets no token. A change of that part forgets all of it: what was obtained for a name may
 * not be served under what the name means now.
 */
export function createKept<T>(): (from: unknown, make: () => T) => T {
  let kept: { text: string; value: T } | undefined;
  return (from, make) => {
    const text = JSON.stringify(from);
    if (kept?.text !== text) kept = { text, value: make() };
    return kept.value;
  };
}
