import { describe, expect, it } from 'vitest';
import { parseArguments } from '../../src/cli/arguments.ts';

const SECRET = 'Kx18Q~notForAnybodyToSee';

/** What the command refuses with; the test fails where it does not refuse. */
function refusal(words: readonly string[]): { exitCode: unknown; message: string } {
  try {
    parseArguments(words);
  } catch (error) {
    if (error instanceof Error) return { exitCode: Reflect.get(error, 'exitCode'), message: error.message };
  }
  throw new Error('was not refused');
}

describe('the command line', () => {
  it.each([[[]], [['--help']], [['plan', '-h']]])('shows help for %j', (words) => {
    expect(parseArguments(words)).toEqual({ do: 'help' });
  });

  it('reads plan with a settings file', () => {
    expect(parseArguments(['plan', '--settings', 'local.json'])).toEqual({ do: 'plan', settings: 'local.json' });
  });

  it('reads all options of import, durations as seconds and the key id in lower case', () => {
    const options =
      '--name a-b --rotate-every 7d --lifetime 20d --overlap 90m --key-id AAAAAAAA-0000-4000-8000-00000000000A';
    expect(parseArguments(['import', 'sp.json', ...options.split(' '), '--yes'])).toEqual({
      do: 'import',
      settings: undefined,
      source: { kind: 'file', path: 'sp.json', form: 'any' },
      wanted: {
        name: 'a-b',
        rotateEverySeconds: 604_800,
        lifetimeSeconds: 1_728_000,
        overlapSeconds: 5400,
        keyId: 'aaaaaaaa-0000-4000-8000-00000000000a',
      },
      yes: true,
    });
  });

  it.each([
    [['import', '--env'], { kind: 'environment' }],
    [['import', '--env', 'prod.env'], { kind: 'file', path: 'prod.env', form: 'env' }],
    [['import', 'prod.env', '--env'], { kind: 'file', path: 'prod.env', form: 'env' }],
    [['import', '--env=prod.env'], { kind: 'file', path: 'prod.env', form: 'env' }],
  ])('reads where the secret is from %j', (words, source) => {
    expect(parseArguments(words)).toMatchObject({ source });
  });

  it.each([
    [['rotate'], 'Say plan or import'],
    [['--yes'], 'Say plan or import'],
    [['plan', 'now'], 'no further words'],
    [['plan', '--name', 'x'], '--name: is not known'],
    [['plan', '--settings'], '--settings: needs a value'],
    [['import'], 'Name the file'],
    [['import', 'a', 'b'], 'one file'],
    [['import', 'a', '--overlap', 'soon'], '--overlap: must be a whole number and a unit'],
    [['import', 'a', '--name', 'not_a_name'], '--name: must be letters'],
    [['import', 'a', '--key-id', 'first'], '--key-id: must be the key id'],
    [['import', 'a', '--yes=no'], '--yes: takes no value'],
  ])('refuses %j and says why', (words, why) => {
    const { exitCode, message } = refusal(words);
    expect(message).toContain(why);
    expect(message).toContain('--help');
    expect(exitCode).toBe(2);
  });

  it.each([
    [['import', '--password', SECRET]],
    [['import', `--client-secret=${SECRET}`]],
    [['import', `{"clientSecret":"${SECRET}"}`]],
    [['import', '--env', `AZURE_CLIENT_SECRET=${SECRET}`]],
  ])('refuses a secret given as an argument and does not repeat it (%#)', (words) => {
    const { exitCode, message } = refusal(words);
    expect(message).toContain('never given as an argument');
    expect(message).not.toContain(SECRET);
    expect(exitCode).toBe(2);
  });

  it.each([
    [[SECRET]],
    [[`--${SECRET}`]],
    [['import', 'a', SECRET]],
    [['import', 'a', '--name', SECRET]],
    [['plan', SECRET]],
  ])('repeats no word that it does not know (%#)', (words) => {
    expect(refusal(words).message).not.toContain(SECRET);
  });
});
