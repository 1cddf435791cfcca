import { createIssuedTokens, type IssuedTokens } from '../arm/issued-tokens.ts';
import { WEB_SERVICES, type WebServiceSeed } from '../seed.ts';
import type { Random } from '../state/random.ts';

export type KeyType = 'Primary' | 'Secondary';

/** A web service of Azure ML SDK v1. */
export interface WebService extends WebServiceSeed {
  created: Date;
  keys: Record<KeyType, string>;
  tokens: IssuedTokens;
}

/** The web services of the one workspace that has some, in memory. */
export interface WebServiceStore {
  /** Name in Azure. */
  readonly workspace: string;
  list(): readonly WebService[];
  find(name: string): WebService | undefined;
  newKey(): string;
}

const WORKSPACE = 'ml-prod';

export function createWebServiceStore(
  clock: () => Date,
  random: Random,
  seed: readonly WebServiceSeed[] = WEB_SERVICES,
): WebServiceStore {
  const newKey = () => random.bytes(24).toString('base64url');
  const services = seed.map(
    (one): WebService => ({
      ...one,
      created: clock(),
      keys: { Primary: newKey(), Secondary: newKey() },
      tokens: createIssuedTokens(),
    }),
  );
  return {
    workspace: WORKSPACE,
    newKey,
    list: () => services,
    find: (name) => services.find((one) => one.name === name),
  };
}
