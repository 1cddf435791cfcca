import type { ServiceCaller } from '../entra/service-token.ts';
import type { Exchange } from '../http/service.ts';
import type { Random } from '../state/random.ts';
import type { EndpointStore } from './endpoint-store.ts';
import type { EndpointTokenSigner } from './endpoint-token.ts';

/** What answering one call needs. */
export interface ArmContext {
  store: EndpointStore;
  signer: EndpointTokenSigner;
  exchange: Exchange;
  caller: ServiceCaller;
  /** Scheme, host and port under which the caller reached ARM. */
  armUrl: string;
  scoringUrl: string;
  endpointTokenSeconds: number;
  endpointRefreshAfterSeconds: number;
  clock: () => Date;
  random: Random;
}
