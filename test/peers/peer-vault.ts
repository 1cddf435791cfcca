import type { TokenCredential } from '@azure/core-auth';

/** The vault that test/peers/main.ts has started; its certificate is trusted through NODE_EXTRA_CA_CERTS. */
export const peerVaultUrl = process.env.PEER_KEY_VAULT_URL ?? '';

/** Any token will do: the vault only looks whether there is one. */
export function aDummyCredential(): TokenCredential & { scopes: string[] } {
  const scopes: string[] = [];
  return {
    scopes,
    async getToken(asked) {
      scopes.push(...[asked].flat());
      return { token: 'dummy', expiresOnTimestamp: Date.now() + 3_600_000 };
    },
  };
}
