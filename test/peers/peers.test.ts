import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fetchJar } from './fetch-jar.ts';
import { findJava, readJavaVersion } from './java.ts';

/** What the runner of the peers does where they cannot run; it needs neither Java nor a network. */

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'peers-test-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs the runner where JAVA_HOME has no Java. */
function runWithoutJava(CI: string | undefined): Promise<{ code: unknown; out: string }> {
  const { CI: _, ...environment } = process.env;
  const env = { ...environment, JAVA_HOME: folder, ...(CI === undefined ? {} : { CI }) };
  const { promise, resolve } = Promise.withResolvers<{ code: unknown; out: string }>();
  execFile(process.execPath, [path.join(import.meta.dirname, 'main.ts')], { env }, (error, out) =>
    resolve({ code: error === null ? 0 : error.code, out }),
  );
  return promise;
}

describe('peers without a Java', () => {
  it.each([undefined, '', 'false', '1'])(
    'are skipped with a reason, which is no failure where CI is %j',
    async (CI) => {
      const { code, out } = await runWithoutJava(CI);
      expect(out).toMatch(/^SKIPPED peers: no Java runs as .+: install one, or name it by JAVA_HOME\n$/);
      expect(code).toBe(0);
    },
  );

  it('are a failure where CI is true', async () => {
    expect(await runWithoutJava('true')).toMatchObject({ code: 1, out: expect.stringMatching(/^SKIPPED peers: /) });
  });
});

describe('the Java of the peers', () => {
  it.each([
    ['openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment', 17],
    ['openjdk version "25" 2025-09-16', 25],
    ['java version "1.8.0_402"', 8],
    ['The command java was not found', undefined],
  ])('tells its version by %j', (printed, version) => {
    expect(readJavaVersion(printed)).toBe(version);
  });

  it('is too old before 17', async () => {
    const home = await mkdtemp(path.join(folder, 'java-'));
    const fake = async (version: string) => {
      await mkdir(path.join(home, 'bin'), { recursive: true });
      const script = `#!/bin/sh\necho 'openjdk version "${version}"' >&2\n`;
      await writeFile(path.join(home, 'bin/java'), script, { mode: 0o755 });
      return findJava({ JAVA_HOME: home });
    };
    expect(await fake('11.0.2')).toEqual({ missing: expect.stringContaining('Java 11 is too old: install 17') });
    expect(await fake('17.0.1')).toEqual({ found: path.join(home, 'bin/java') });
  });
});

describe('the jar of a peer', () => {
  const text = 'a jar';
  const sha256 = createHash('sha256').update(text).digest('hex');
  const get = (artifactId: string, pinned: string | undefined) =>
    fetchJar({ groupId: 'g', artifactId, version: '1.0', sha256: pinned }, folder, new AbortController().signal);

  it('is used from the folder while it is the pinned one', async () => {
    const kept = path.join(folder, 'kept-1.0.jar');
    await writeFile(kept, text);
    expect(await get('kept', sha256)).toEqual({ found: kept });
  });

  it('is refused when it is another than the pinned one', async () => {
    await writeFile(path.join(folder, 'other-1.0.jar'), `${text} with something more`);
    await expect(get('other', sha256)).rejects.toThrow(/not the pinned one: remove .+other-1\.0\.jar/);
  });

  it('is taken as it is where nobody has pinned it yet', async () => {
    const kept = path.join(folder, 'unpinned-1.0.jar');
    await writeFile(kept, text);
    expect(await get('unpinned', undefined)).toEqual({ found: kept });
  });
});
