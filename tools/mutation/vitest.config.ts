import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The tests that live through hours of many rotations: seconds each, where others take milliseconds. */
const long = ({ moduleId }: TestSpecification) => /\.property\.|\/round\./.test(moduleId);

/** A mutant is done with at the first red test: the quick tests run first. */
class QuickFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return files.toSorted((one, other) => Number(long(one)) - Number(long(other)));
  }
}

/**
 * What runs against every mutant: the rooms' own tests and those of the routes that show rotations. They start no
 * server, build no bundle and wait for nothing.
 */
export default defineConfig({
  test: {
    include: ['test/{callers,grants,rotation}/**/*.test.ts', 'test/functions/*rotation*.test.ts'],
    // Random histories are long, and differ from run to run: a mutant would be found out today and not tomorrow.
    exclude: ['test/rotation/**/*.property.test.ts'],
    sequence: { sequencer: QuickFirst },
    testTimeout: 30_000,
  },
});
