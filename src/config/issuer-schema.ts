import * as z from 'zod';
import { guid } from './shapes.ts';

/** The shape of an entry under `issuers`: an Entra tenant, or an OIDC issuer by its URL. */

/** Of each cloud (`api://AzureADTokenExchange…`), and the id of the application behind it. */
const exchangeAudience = /^(api:\/\/azureadtokenexchange.*|fb60f99c-7a34-4190-8149-302f77469936)$/i;

const audience = z
  .string()
  .min(1)
  .refine(
    (text) => !exchangeAudience.test(text),
    'is the audience of federated credentials: a token for it must never be sent to a broker',
  );

const entraIssuer = z
  .strictObject({
    entraTenant: guid.describe('Tenant whose v1 and v2 access tokens are accepted.'),
    audience: z
      .union([audience.transform((one) => [one]), z.array(audience).min(1).max(4)])
      .describe(
        'What the token’s aud must be, exactly: the application id URI (v1 tokens), the application id (v2 tokens).',
      ),
  })
  .describe('An Entra tenant: its callers are of class app or user.');

const LONGEST_URL = 1024;

/** An https URL that names a place and nothing more; a second spelling of a host (a final dot) is refused. */
const isPlainUrl = (text: string, forbidden: RegExp): boolean => {
  const url = URL.parse(text);
  return url !== null && url.protocol === 'https:' && !url.hostname.endsWith('.') && !forbidden.test(text);
};

/** OpenID Connect Discovery 1.0, section 3: the issuer is an https URL without query and fragment. */
const issuerUrl = z
  .string()
  .max(LONGEST_URL)
  .refine(
    (text) => isPlainUrl(text, /[?#@\\\s]/),
    'must be the issuer’s https URL, exactly as its tokens name it in iss, without query, fragment, user or final dot of the host',
  );

const keysUrl = z
  .string()
  .max(LONGEST_URL)
  .refine(
    (text) => isPlainUrl(text, /[#@\\\s]/),
    'must be an https URL, without fragment, user or final dot of the host',
  );

const oidcIssuer = z
  .strictObject({
    issuer: issuerUrl.describe('The issuer’s https URL, exactly as its tokens name it in iss.'),
    audience: audience.describe('The one aud that its tokens must have, exactly.'),
    jwksUri: keysUrl
      .optional()
      .describe('Pins where the issuer’s keys are. Absent: where its discovery says, on the issuer’s own origin only.'),
  })
  .describe('An OIDC issuer, such as a Kubernetes cluster or GitHub Actions: its callers are of class workload.');

export const issuerSchema = z.union([entraIssuer, oidcIssuer]).describe('An issuer of caller tokens.');
