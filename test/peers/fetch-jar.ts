import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Found } from './java.ts';

/** A jar by its Maven coordinates. */
export interface Release {
  groupId: string;
  artifactId: string;
  version: string;
  /** Of the jar, in hex; undefined until somebody has pinned it: then Maven's own checksums have to do. */
  sha256: string | undefined;
}

const COPY = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy';
const FETCH_MS = 300_000;

async function sha256Of(file: string): Promise<string | undefined> {
  try {
    return createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
  } catch {
    return undefined;
  }
}

/** Asks Maven, which knows where this machine gets its packages from (`~/.m2/settings.xml`). */
async function fetchByMaven(release: Release, folder: string, signal: AbortSignal): Promise<string | undefined> {
  const { groupId, artifactId, version } = release;
  const artifact = `-Dartifact=${groupId}:${artifactId}:${version}:jar`;
  const options = [
    '--batch-mode',
    '--quiet',
    '--update-snapshots',
    '--strict-checksums',
    COPY,
    artifact,
    `-DoutputDirectory=${folder}`,
  ];
  try {
    await promisify(execFile)('mvn', options, { timeout: FETCH_MS, signal });
    return path.join(folder, `${artifactId}-${version}.jar`);
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

/**
 * The jar of a release, from the folder if it is there, else by Maven, which checks it against its repository's sums. A
 * jar whose SHA-256 is not the pinned one is never given out.
 *
 * @throws Error when what came is not what was pinned
 */
export async function fetchJar(release: Release, folder: string, signal: AbortSignal): Promise<Found<string>> {
  const name = `${release.artifactId}-${release.version}.jar`;
  const kept = path.join(folder, name);
  const before = await sha256Of(kept);
  if (before !== undefined && (release.sha256 ?? before) === before) return { found: kept };

  await mkdir(folder, { recursive: true });
  const scratch = await mkdtemp(path.join(folder, 'fetch-'));
  try {
    // What somebody has put there is checked like what is fetched.
    const fetched = before === undefined ? await fetchByMaven(release, scratch, signal) : kept;
    const sha256 = fetched === undefined ? undefined : await sha256Of(fetched);
    if (fetched === undefined || sha256 === undefined) {
      return { missing: `Maven cannot fetch ${name}: run mvn by hand to see why, or put the jar into ${folder}` };
    }
    if (release.sha256 !== undefined && sha256 !== release.sha256) {
      throw new Error(
        `${name} has the SHA-256 ${sha256}, not the pinned one: remove ${fetched} and find out why it differs.`,
      );
    }
    await rename(fetched, kept);
    return { found: kept };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
