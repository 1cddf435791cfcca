import { spawn } from 'node:child_process';
import path from 'node:path';
import { text } from 'node:stream/consumers';

/** `npm run check`: format and lint, types, boundaries, dead code. One line each; a failing one shows what it said. */

const root = path.resolve(import.meta.dirname, '..');

interface Step {
  name: string;
  command: string;
  args: readonly string[];
  /** Why an output cannot be trusted although the command ended well; undefined when it can. */
  doubt?: (output: string) => string | undefined;
}

/** A tool that reads no TypeScript sees no module, finds nothing wrong and passes. */
const FEWEST_MODULES = 40;

function doubtBoundaries(output: string): string | undefined {
  const seen = Number(/(\d+) modules/.exec(output)?.[1] ?? 0);
  return seen > FEWEST_MODULES ? undefined : `It saw ${seen} modules only: is @swc/core installed? Run npm ci.`;
}

const steps: readonly Step[] = [
  { name: 'format and lint', command: 'biome', args: ['ci', '--colors=off', '.'] },
  { name: 'types', command: 'tsc', args: ['-p', 'tsconfig.json', '--pretty', 'false'] },
  {
    name: 'boundaries',
    command: 'depcruise',
    args: ['--output-type', 'err-long', 'client', 'src', 'sandbox', 'test', 'tools', 'bench'],
    doubt: doubtBoundaries,
  },
  { name: 'dead code', command: 'knip', args: ['--no-progress'] },
];

async function run({ name, command, args, doubt }: Step): Promise<boolean> {
  const child = spawn(path.join(root, 'node_modules/.bin', command), args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<string | number | null>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', resolve);
  });
  const [out, errors, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  const doubts = code === 0 ? doubt?.(out) : undefined;
  const ok = code === 0 && doubts === undefined;
  console.log(`${ok ? 'ok    ' : 'failed'}  ${name}`);
  if (!ok) console.log([out, errors, doubts ?? ''].filter((part) => part.trim() !== '').join('\n'));
  return ok;
}

const results: boolean[] = [];
for (const step of steps) results.push(await run(step));
process.exitCode = results.every((ok) => ok) ? 0 : 1;
