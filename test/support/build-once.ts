import { build } from '../../tools/build.ts';
import { buildClient } from '../../tools/build-client.ts';

/** The end-to-end tests run the bundle, as Azure does, and the client as its users do; both are made once before all tests. */
export default async function buildOnce(): Promise<void> {
  await Promise.all([build(), buildClient()]);
}
