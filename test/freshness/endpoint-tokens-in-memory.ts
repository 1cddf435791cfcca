import { createEndpointTokens } from '../../src/freshness/endpoint-tokens.ts';
import { aFetchedWorkspace, anEndpoint } from '../support/builders.ts';
import { createMovableClock } from '../support/clock.ts';
import { createFakeMachineLearning, createLogSpy, createMemoryTokenStore } from '../support/ports.ts';

export const from = aFetchedWorkspace();
export const endpoint = anEndpoint();
/** The row of that endpoint in the store. */
export const row = `${endpoint.id} reader`;

/** Endpoint tokens on ports in memory: tokens live 3600 s and are to be refreshed after 1800 s. */
export function setUp() {
  const time = createMovableClock();
  const { clock } = time;
  const machineLearning = createFakeMachineLearning(clock);
  const store = createMemoryTokenStore();
  const { log, lines } = createLogSpy();
  const start = () => createEndpointTokens({ machineLearning, store, clock, log, refreshAheadSeconds: 300 });
  return { time, machineLearning, store, lines, start, tokens: start() };
}
