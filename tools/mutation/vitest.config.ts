import { defineConfig } from 'vitest/config';

/** What runs against every mutant: the rooms' own tests, which start no server, build no bundle and wait for nothing. */
export default defineConfig({
  test: {
    include: ['test/{callers,grants,rotation}/**/*.test.ts'],
    testTimeout: 30_000,
  },
});
