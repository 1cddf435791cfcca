import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compilePattern } from '../../src/grants/pattern.ts';

describe('compilePattern', () => {
  it.each([
    ['fraud', 'fraud'],
    ['fraud-*', 'fraud-aml'],
    ['fraud-*', 'fraud-'],
    ['*', ''],
    ['*', 'anything'],
    ['**', 'anything'],
    ['*-aml', 'fraud-aml'],
    ['*-*', 'fraud-aml'],
    ['f*d-*l', 'fraud-aml'],
    ['a*a', 'aa'],
    ['a*a*a', 'abaca'],
    ['*ab*', 'aab'],
    ['a*bc', 'abcbc'],
    ['*ab*ab*', 'xabaxabx'],
    ['Fraud-*', 'fraud-aml'],
    ['FRAUD', 'fraud'],
  ])('%s matches %s', (pattern, name) => {
    expect(compilePattern(pattern)(name)).toBe(true);
  });

  it.each([
    ['fraud', 'fraud-aml'],
    ['fraud', 'my-fraud'],
    ['fraud', ''],
    ['fraud-*', 'fraud'],
    ['fraud-*', 'my-fraud-aml'],
    ['*-aml', 'fraud-aml-2'],
    ['f*d', 'fraud-aml'],
    ['a*a', 'a'],
    ['ab*ba', 'aba'],
    ['a*a*a', 'aba'],
    ['a*b*c', 'acb'],
    ['*b*', 'acd'],
    ['*ab*ab*', 'xaby'],
    ['*-*-*', 'fraud-aml'],
    ['', 'a'],
  ])('P1: %s does not match %s', (pattern, name) => {
    expect(compilePattern(pattern)(name)).toBe(false);
  });

  it('has no wildcard but the star', () => {
    for (const character of '.?+[](){}|^$\\%_') {
      expect(compilePattern(`a${character}b`)('axb')).toBe(false);
      expect(compilePattern(`a${character}b`)(`a${character}b`)).toBe(true);
    }
  });

  it('agrees with a regular expression made from the pattern', () => {
    const text = (letters: string) => fc.string({ unit: fc.constantFrom(...letters), maxLength: 10 });
    fc.assert(
      fc.property(text('abAB-*'), text('ab-'), (pattern, name) => {
        const expression = new RegExp(`^${pattern.replaceAll('*', '.*')}$`, 'is');
        expect(compilePattern(pattern)(name)).toBe(expression.test(name));
      }),
      { numRuns: 3000 },
    );
  });

  it('takes no long time for a hostile pattern and name', () => {
    const started = performance.now();
    expect(compilePattern('*a'.repeat(120))(`${'a'.repeat(100)}b`.repeat(2))).toBe(false);
    expect(performance.now() - started).toBeLessThan(100);
  });
});
