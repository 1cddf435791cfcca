import { build } from '../../tools/build.ts';

/** The end-to-end tests run the bundle, as Azure does; it is made once before all tests. */
export default build;
