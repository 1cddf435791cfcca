import type { Fact } from '../../../src/rotation/facts.ts';

/** The value of a fact that must have been found; the test fails here where it was not. */
export function foundIn<T>(fact: Fact<T>): T {
  if (fact.kind === 'found') return fact.value;
  throw new Error(`The fact is ${fact.kind} where it should have been found.`);
}
