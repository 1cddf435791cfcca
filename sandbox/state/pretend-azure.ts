import { createEndpointStore, type EndpointStore } from '../arm/endpoint-store.ts';
import { createSecretStore, type SecretStore } from '../key-vault/secret-store.ts';
import { createWebServiceStore, type WebServiceStore } from '../model-management/service-store.ts';
import { TOKEN_CACHE_KEY_SECRET, TRAINER, TRAINER_ROTATION } from '../seed.ts';
import { type CallLog, createCallLog } from './call-log.ts';
import { createDirectory, type Directory } from './directory.ts';
import { createFaults, type Faults } from './faults.ts';
import type { Random } from './random.ts';

/** All that the pretend Azure remembers, in memory; a restart begins anew. */
export interface PretendAzure {
  directory: Directory;
  secrets: SecretStore;
  endpoints: EndpointStore;
  webServices: WebServiceStore;
  calls: CallLog;
  faults: Faults;
}

const TOKEN_CACHE_KEY_BYTES = 32;

/** Makes the seeded state: applications, Key Vault secrets that fit to them, endpoints; no calls, no faults. */
export function createPretendAzure(clock: () => Date, random: Random): PretendAzure {
  const { directory, trainerPassword } = createDirectory(clock(), random);
  const secrets = createSecretStore({ clock, random: random.bytes });
  secrets.set(TRAINER.secretName, trainerPassword.text, {
    tags: {
      keyId: trainerPassword.keyId,
      rotation: TRAINER.secretName,
      rotationId: TRAINER_ROTATION.rotationId,
    },
    expires: trainerPassword.endDateTime,
  });
  secrets.set(TOKEN_CACHE_KEY_SECRET, random.bytes(TOKEN_CACHE_KEY_BYTES).toString('base64url'));
  const endpoints = createEndpointStore({ clock, random });
  const webServices = createWebServiceStore(clock, random);
  return { directory, secrets, endpoints, webServices, calls: createCallLog(), faults: createFaults() };
}
