import type { Policy } from '../config/policy.ts';
import { createEndpointCatalogue } from '../freshness/endpoint-catalogue.ts';
import { createEndpointTokens } from '../freshness/endpoint-tokens.ts';
import { watch } from '../health.ts';
import type { Context } from './context.ts';
import { buildIdentities, type Own } from './identities.ts';
import type { Stores } from './stores.ts';

/**
 * Where tokens and keys come from, with everything that remembers them. Made of the policy's identities and workspaces
 * alone: it outlives every change elsewhere in the policy.
 */
export function buildSources(context: Context, own: Own, { tokenStore: store }: Stores, policy: Policy) {
  const { azure, settings, clock, log, report } = context;
  const identities = buildIdentities(context, own, policy);
  const credentialOf = (identity: string) => azure.asTokenCredential(identities.fetchToken, identity);
  const { armEndpoint, armScope, amlRegionEndpoint } = settings.cloud;
  const watched = watch(report, 'machineLearning');
  const machineLearning = azure.withWebServices({
    onlineEndpoints: azure.createMachineLearning({ armEndpoint, armScope, credentialOf, clock, watched }),
    ...{ armEndpoint, armScope, amlRegionEndpoint, credentialOf, clock, log },
  });
  const { endpointLookSeconds: lookSeconds, refreshAheadSeconds } = settings;
  const catalogue = createEndpointCatalogue({ machineLearning, store, clock, log, lookSeconds });
  const tokens = createEndpointTokens({ machineLearning, store, clock, log, refreshAheadSeconds });
  return { identities, machineLearning, catalogue, tokens };
}
export type Sources = ReturnType<typeof buildSources>;
