import { v2Issuer } from '../entra/issuers.ts';
import {
  BROKER_API,
  BROKER_IDENTITY,
  DEFAULT_CALLER,
  DEPLOYER,
  FEDERATION_IDENTITY,
  TENANT_ID,
  TOKEN_EXCHANGE_AUDIENCE,
  TRAINER,
  TRAINER_ROTATION,
} from '../seed.ts';
import { type ApplicationPassword, makePassword } from './application-password.ts';
import { createPropagatingList, type PropagatingList } from './propagating-list.ts';
import type { Random } from './random.ts';

/** A trust in another issuer's tokens as the application's proof of identity. */
export interface FederatedCredential {
  id: string;
  name: string;
  issuer: string;
  subject: string;
  description: string | null;
  audiences: readonly string[];
}

/** An application with its service principal in the tenant. */
export interface Application {
  /** Object id: what Graph's paths take. */
  id: string;
  appId: string;
  displayName: string;
  /** Object id of its service principal: the `oid` of its tokens. */
  servicePrincipalId: string;
  identifierUris: readonly string[];
  /** APIs that an administrator let it use in the name of users: identifier URIs. */
  delegatedApis: readonly string[];
  createdDateTime: Date;
  /** Object ids of the service principals that own it. */
  owners: Set<string>;
  passwords: PropagatingList<ApplicationPassword>;
  federatedCredentials: PropagatingList<FederatedCredential>;
}

/** The tenant's applications. */
export interface Directory {
  applications: readonly Application[];
  byAppId(appId: string): Application | undefined;
  byObjectId(id: string): Application | undefined;
}

type ApplicationSeed = Pick<Application, 'id' | 'appId' | 'displayName' | 'servicePrincipalId' | 'identifierUris'> & {
  owners: readonly string[];
  delegatedApis?: readonly string[];
  /** Object id of the managed identity that it trusts as its proof. */
  trusts?: string;
};

const APPLICATION_SEEDS: readonly ApplicationSeed[] = [
  {
    id: TRAINER.objectId,
    appId: TRAINER.appId,
    displayName: TRAINER.displayName,
    servicePrincipalId: TRAINER.servicePrincipalId,
    identifierUris: [],
    owners: [BROKER_IDENTITY.oid],
  },
  {
    id: 'b0000000-0000-4000-8000-0000000000a1',
    appId: BROKER_API.appId,
    displayName: 'aml-token-broker-api',
    servicePrincipalId: 'b0000000-0000-4000-8000-0000000000f1',
    identifierUris: [BROKER_API.identifierUri],
    owners: [],
    delegatedApis: ['https://ml.azure.com', 'https://management.azure.com'],
    trusts: FEDERATION_IDENTITY.oid,
  },
  {
    id: 'e0000000-0000-4000-8000-0000000000a1',
    appId: DEFAULT_CALLER.appId,
    displayName: 'checkout',
    servicePrincipalId: DEFAULT_CALLER.oid,
    identifierUris: [],
    owners: [],
  },
  {
    id: DEPLOYER.objectId,
    appId: DEPLOYER.appId,
    displayName: DEPLOYER.displayName,
    servicePrincipalId: DEPLOYER.servicePrincipalId,
    identifierUris: [],
    owners: [BROKER_IDENTITY.oid],
    trusts: FEDERATION_IDENTITY.oid,
  },
];

/**
 * Makes the seeded tenant. `trainer` has one password, known everywhere at once; its text is new at each start.
 *
 * @returns The directory and that password, for the Key Vault secret that holds it.
 */
export function createDirectory(
  now: Date,
  random: Random,
): { directory: Directory; trainerPassword: ApplicationPassword } {
  const created = new Date(Math.floor(now.getTime() / 1000) * 1000);
  const applications = APPLICATION_SEEDS.map(
    ({ trusts, delegatedApis = [], ...seed }): Application => ({
      ...seed,
      delegatedApis,
      createdDateTime: created,
      owners: new Set(seed.owners),
      passwords: createPropagatingList(),
      federatedCredentials: seededTrust(trusts, random),
    }),
  );
  const directory: Directory = {
    applications,
    byAppId: (appId) => applications.find((one) => sameId(one.appId, appId)),
    byObjectId: (id) => applications.find((one) => sameId(one.id, id)),
  };
  const { displayName, lifetimeSeconds } = TRAINER_ROTATION;
  const endDateTime = new Date(created.getTime() + lifetimeSeconds * 1000);
  const trainerPassword = makePassword({ displayName, endDateTime }, created, random);
  directory.byObjectId(TRAINER.objectId)?.passwords.add(trainerPassword, null);
  return { directory, trainerPassword };
}

/** A federated credential for a managed identity of the tenant, known everywhere from the start. */
function seededTrust(managedIdentityOid: string | undefined, random: Random): PropagatingList<FederatedCredential> {
  const list = createPropagatingList<FederatedCredential>();
  if (managedIdentityOid !== undefined) {
    const names = { id: random.id(), name: 'broker', description: null };
    const trusted = { issuer: v2Issuer(TENANT_ID), subject: managedIdentityOid, audiences: [TOKEN_EXCHANGE_AUDIENCE] };
    list.add({ ...names, ...trusted }, null);
  }
  return list;
}

function sameId(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
