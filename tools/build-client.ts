import { spawn } from 'node:child_process';
import path from 'node:path';
import { text } from 'node:stream/consumers';

const root = path.resolve(import.meta.dirname, '..');

/**
 * Compiles `client` into `dist/client`, with its types: what `aml-token-broker/client` exports. Node strips types only
 * outside of `node_modules`, so users of the package need JavaScript.
 */
export async function buildClient(): Promise<void> {
  const child = spawn(path.join(root, 'node_modules/.bin/tsc'), ['-p', 'client/tsconfig.json', '--pretty', 'false'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const [said, code] = await Promise.all([text(child.stdout), ended]);
  if (code !== 0) throw new Error(`client does not compile:\n${said}`);
}
