/** A pattern for names in lower case, such as those of endpoints: its own letter case does not count. */
export const compilePattern = (pattern: string): ((name: string) => boolean) =>
  compileExactPattern(pattern.toLowerCase());

/**
 * Compiles a pattern in which `*` stands for any characters (none as well); everything else, letter case included,
 * stands for itself. The pattern is anchored at both ends.
 */
export function compileExactPattern(pattern: string): (text: string) => boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return (name) => name === first;
  return (name) => {
    if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length) return false;
    // Leftmost match of each middle part is enough, and takes linear time where a regular expression may not.
    const end = name.length - last.length;
    let position = first.length;
    for (const part of rest) {
      const found = name.indexOf(part, position);
      if (found === -1 || found + part.length > end) return false;
      position = found + part.length;
    }
    return true;
  };
}
