import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { parseFunctionTimeout } from '../../src/config/function-timeout.ts';

const hostJson = (functionTimeout?: unknown) => JSON.stringify({ version: '2.0', functionTimeout });

describe('the time limit of a function', () => {
  it.each([
    ['00:10:00', 600],
    ['01:00:30', 3630],
    ['1.02:00:00', 93_600],
    ['00:05:00.0000000', 300],
  ])('is read from host.json: %s is %i seconds', (text, seconds) => {
    expect(parseFunctionTimeout(hostJson(text), undefined)).toEqual({ ok: true, value: seconds });
  });

  it('is that of the host.json of this app', async () => {
    expect(parseFunctionTimeout(await readFile('host.json', 'utf8'), undefined)).toEqual({ ok: true, value: 600 });
  });

  it('is overridden by the environment, whatever host.json says', () => {
    expect(parseFunctionTimeout(hostJson('00:10:00'), '00:05:00')).toEqual({ ok: true, value: 300 });
    expect(parseFunctionTimeout(hostJson('-1'), '00:05:00')).toEqual({ ok: true, value: 300 });
    expect(parseFunctionTimeout('broken', '00:05:00')).toEqual({ ok: true, value: 300 });
  });

  it('is not overridden by an empty value', () => {
    expect(parseFunctionTimeout(hostJson('00:10:00'), '')).toEqual({ ok: true, value: 600 });
  });

  it('is the longest default of any plan where nothing says it', () => {
    expect(parseFunctionTimeout(hostJson(), undefined)).toEqual({ ok: true, value: 1800 });
  });

  it.each(['-1', -1, '-00:10:00'])('R3: is refused without a limit (%j): orphans would have no grace', (value) => {
    expect(parseFunctionTimeout(hostJson(value), undefined)).toEqual({
      ok: false,
      problems: [
        'functionTimeout in host.json: has no limit: rotation must know when a run has ended; say for example 00:10:00',
      ],
    });
  });

  it('R3: is refused without a limit in the environment', () => {
    expect(parseFunctionTimeout(hostJson('00:10:00'), '-1')).toMatchObject({
      ok: false,
      problems: [expect.stringMatching(/^AzureFunctionsJobHost__functionTimeout: has no limit/)],
    });
  });

  it.each(['10', '10:00', '24:00:00', '00:60:00', '00:00:60', '00:00:00', '', 'PT10M', '00:10:00 '])(
    'is refused as %j',
    (value) => {
      expect(parseFunctionTimeout(hostJson(value), undefined)).toEqual({
        ok: false,
        problems: ['functionTimeout in host.json: must be a time such as 00:10:00 (hh:mm:ss)'],
      });
    },
  );

  it.each(['', 'no json', '[]', '{"functionTimeout":{}}', 'null'])('is refused from a host.json that is %j', (text) => {
    expect(parseFunctionTimeout(text, undefined)).toEqual({
      ok: false,
      problems: ['host.json: cannot be read as JSON with a text functionTimeout'],
    });
  });
});
