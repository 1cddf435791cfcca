import { defineConfig } from 'vitest/config';

/**
 * What runs against every mutant: the rooms' own tests and those of the routes that show rotations. They start no
 * server, build no bundle and wait for nothing.
 */
export default defineConfig({
  test: {
    include: ['test/{callers,grants,rotation}/**/*.test.ts', 'test/functions/*rotation*.test.ts'],
    // Random histories say their seed in their title, and Stryker asks for a test by its title; too long as well.
    exclude: ['test/rotation/histories/**'],
    testTimeout: 30_000,
  },
});
