import type { Deviations } from '../contract/key-vault-suite.ts';
import type { Release } from './fetch-jar.ts';

/**
 * Lowkey Vault, a stand-in for Key Vault (https://github.com/nagyesta/lowkey-vault): the last release that runs on Java
 * 17; 4.0.0 and later need 21.
 */
export const lowkeyVault: Release = {
  groupId: 'com.github.nagyesta.lowkey-vault',
  artifactId: 'lowkey-vault-app',
  version: '3.4.33',
  sha256: undefined,
};

/** The newest version of the REST interface that this release knows; the SDK's own default is later. */
export const SERVICE_VERSION = '7.6';

const javaCodes = 'its codes are the names of Java classes';

/** Where this release is not as the reference has it; what is listed here has to fail, so an entry cannot outlive its reason. */
export const deviations: Deviations = {
  'finds a name without regard to case': 'it looks names up as they are written',
  'refuses names with other characters than letters, digits and dashes, and longer than 127':
    'a bad character is answered with 500, and length is not checked',
  'refuses values, tags and content types above their limits, and writes nothing': 'it has no limits',
  'names its refusals SecretNotFound and BadParameter': javaCodes,
  'refuses a disabled version with 403 SecretDisabled': 'it answers 404, as if there were none',
  'shows a deleted secret without its value': 'it shows the value',
  'names a held name ObjectIsDeletedButRecoverable': javaCodes,
};
