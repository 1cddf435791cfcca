import { clouds } from './clouds.ts';
import { isInternalHost } from './internal-address.ts';
import type { PolicyProblem } from './policy-problem.ts';
import type { PolicyDocument } from './policy-schema.ts';
import type { Settings } from './settings.ts';

/** Rules for issuers: one meaning for one `iss`, and OIDC issuers that are neither Entra nor this machine. */

/** What the cloud allows of issuers. */
export type IssuerLimits = Pick<Settings, 'internalIssuers'>;

const anyTenant = '00000000-0000-0000-0000-000000000000';

/** Hosts of Entra's own issuers, with the other names that instance discovery tells for them. */
const entraHosts = [
  ...Object.values(clouds).flatMap((cloud) => [cloud.issuerV1(anyTenant), cloud.issuerV2(anyTenant)]),
  'https://login.windows.net',
  'https://login.microsoft.com',
  'https://login.microsoftonline.de',
  'https://login-us.microsoftonline.com',
  'https://login.chinacloudapi.cn',
  'https://login.usgovcloudapi.net',
].map((url) => new URL(url).hostname);

const isEntraHost = ({ hostname }: URL): boolean =>
  entraHosts.some((host) => hostname === host || hostname.endsWith(`.${host}`));

export function* checkIssuers(policy: PolicyDocument, { internalIssuers }: IssuerLimits): Generator<PolicyProblem> {
  const seen = new Map<string, string>();
  for (const [name, issuer] of Object.entries(policy.issuers)) {
    const [kind, named] = 'issuer' in issuer ? ['issuer', issuer.issuer] : ['tenant', issuer.entraTenant];
    const first = seen.get(named);
    // Under two names one token would have two meanings.
    if (first !== undefined) yield { path: ['issuers', name], message: `names the same ${kind} as ${first}` };
    else seen.set(named, name);
    if (!('issuer' in issuer)) continue;

    if (isEntraHost(new URL(issuer.issuer))) {
      yield {
        path: ['issuers', name, 'issuer'],
        message: 'is Entra’s: use entraTenant with the tenant’s id, so that apps and users are told apart',
      };
    }
    for (const key of ['issuer', 'jwksUri'] as const) {
      const url = issuer[key];
      if (url === undefined || internalIssuers || !isInternalHost(new URL(url))) continue;
      yield {
        path: ['issuers', name, key],
        message:
          'is on this machine, its link or a private network: name a host that others can reach (only AZURE_CLOUD=custom may name such an issuer)',
      };
    }
  }
}
