import { execFile } from 'node:child_process';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

/** `npm run policy` as a person runs it: the words, the exit code, where each line goes. */

const root = path.resolve(import.meta.dirname, '../..');
const caller = '{"issuer":"contoso","class":"app","oid":"e0000000-0000-4000-8000-0000000000f1"}';

function run(...words: string[]): Promise<{ code: unknown; out: string; errors: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['src/cli/policy.ts', ...words], { cwd: root }, (error, out, errors) =>
      resolve({ code: error === null ? 0 : error.code, out, errors }),
    );
  });
}

describe('npm run policy', () => {
  it('check: the sandbox’s own policy is good, and its tests hold', async () => {
    const { code, out, errors } = await run('check', 'sandbox/broker.yaml');
    expect({ code, errors }).toEqual({ code: 0, errors: '' });
    expect(out).toMatch(/^sandbox\/broker.yaml: \d+ grants, [1-9]\d* tests, 0 failed\.\n$/);
  });

  it('explain: 0 where it is allowed, 1 where it is not', async () => {
    const allowed = await run('explain', '--caller', caller, '--target', 'prod/fraud-aml', 'sandbox/broker.yaml');
    expect(allowed).toMatchObject({ code: 0, out: expect.stringMatching(/^allowed: The grant checkout-scores-fraud/) });
    const denied = await run('explain', '--caller', caller, '--target', 'prod/churn-aml key', 'sandbox/broker.yaml');
    expect(denied).toMatchObject({
      code: 1,
      out: expect.stringMatching(/^denied \(not_granted, no_grant_for_target\)/),
    });
  });

  it('shows its help without words', async () => {
    expect(await run()).toMatchObject({ code: 0, out: expect.stringContaining('npm run policy -- explain') });
  });

  it.each([
    ['an unknown word', ['make'], 'Say check or explain.'],
    ['a file that is not there', ['check', 'nowhere.yaml'], 'nowhere.yaml cannot be read.'],
    ['two files', ['check', 'a', 'b'], 'Name one file.'],
    ['an unknown option', ['check', '--force'], 'One option is not known'],
    ['no question', ['explain', 'sandbox/broker.yaml'], 'Say --caller and --target.'],
    ['a file that is no policy', ['explain', '--caller', caller, '--target', 'prod', 'biome.json'], 'biome.json: line'],
  ])('2 for %s, told on the error stream', async (_what, words, message) => {
    const { code, out, errors } = await run(...words);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(errors).toContain(message);
  });
});
