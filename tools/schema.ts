import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { policyJsonSchema } from '../src/config/policy-schema.ts';

const root = path.resolve(import.meta.dirname, '..');
const FILE = 'broker.schema.json';

/** The JSON Schema of broker.yaml as it stands in the repository: formatted by the formatter that checks it. */
export async function renderPolicySchema(): Promise<string> {
  const biome = spawn(path.join(root, 'node_modules/.bin/biome'), ['format', `--stdin-file-path=${FILE}`], {
    cwd: root,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    biome.once('error', reject);
    biome.once('close', resolve);
  });
  biome.stdin.end(JSON.stringify(policyJsonSchema()));
  const [formatted, code] = await Promise.all([text(biome.stdout), ended]);
  if (code !== 0) throw new Error('biome could not format the schema; its own message is above.');
  return formatted;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(path.join(root, FILE), await renderPolicySchema());
  console.log(`Wrote ${FILE}.`);
}
