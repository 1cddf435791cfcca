import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build as bundle, stop } from 'esbuild';
import { buildClient } from './build-client.ts';

const root = path.resolve(import.meta.dirname, '..');

const outdir = path.join(root, 'dist');

/**
 * Bundles the app into `dist`: ES modules, split so that the heavy Azure SDKs are files of their own. CommonJS packages
 * inside need `require`, which the banner supplies; `@azure/functions-core` comes from the Functions worker.
 *
 * Safe beside a running broker: every file is replaced whole, and files of an unchanged source stay as they are.
 */
export async function build(): Promise<void> {
  const { outputFiles } = await bundle({
    absWorkingDir: root,
    entryPoints: ['src/main.ts'],
    outdir,
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    minify: true,
    keepNames: true,
    sourcemap: 'linked',
    external: ['@azure/functions-core'],
    banner: {
      js: "import{createRequire as _createRequire}from'node:module';const require=_createRequire(import.meta.url);",
    },
    logLevel: 'warning',
    legalComments: 'none',
    write: false,
  });
  // The bundler's own process would stay as long as ours.
  await stop();
  await mkdir(path.join(outdir, 'chunks'), { recursive: true });
  // Chunks before the entry that names them.
  for (const { path: file, contents } of outputFiles.toSorted((a, b) => b.path.length - a.path.length)) {
    const whole = `${file}.${process.pid}.new`;
    await writeFile(whole, contents);
    await rename(whole, file);
  }
  await removeStale(new Set(outputFiles.map(({ path: file }) => file)));
}

async function removeStale(current: ReadonlySet<string>): Promise<void> {
  const chunks = path.join(outdir, 'chunks');
  const stale = (await readdir(chunks)).map((name) => path.join(chunks, name)).filter((file) => !current.has(file));
  await Promise.all(stale.filter((file) => !file.endsWith('.new')).map((file) => rm(file, { force: true })));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await Promise.all([build(), buildClient()]);
