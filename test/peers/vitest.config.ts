import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** What runs against a peer that test/peers/main.ts has started; `npm test` needs Node alone and sees none of it. */
export default defineConfig({
  test: {
    root: fileURLToPath(new URL('../..', import.meta.url)),
    include: ['test/peers/*.peer.ts'],
    maxWorkers: 1,
    testTimeout: 30_000,
  },
});
