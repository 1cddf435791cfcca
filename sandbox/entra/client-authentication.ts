import { decodeJwt, errors, type JWTPayload, jwtVerify } from 'jose';
import { TENANT_ID } from '../seed.ts';
import type { Application } from '../state/directory.ts';
import type { EntraError } from './entra-error.ts';
import { v1Issuer, v2Issuer } from './issuers.ts';
import type { EntraKeys } from './keys.ts';
import { refusals } from './refusals.ts';

/** How an application proves itself at the token endpoint. */
export interface ClientCredentials {
  secret: string | undefined;
  assertion: string | undefined;
}

/** What one replica needs to judge them. */
export interface ReplicaView {
  now: Date;
  /** How late this replica learns of changes. */
  lagSeconds: number;
  keys: EntraKeys;
}

export type ClientProof = { proved: true; acr: '1' | '2' } | { proved: false; error: EntraError };

/** Checks an application's secret, or its federated assertion, against what one replica knows at this moment. */
export async function authenticateClient(
  application: Application,
  credentials: ClientCredentials,
  view: ReplicaView,
): Promise<ClientProof> {
  if (credentials.assertion) return judged('2', await checkAssertion(application, credentials.assertion, view));
  if (credentials.secret) return judged('1', checkSecret(application, credentials.secret, view));
  return { proved: false, error: refusals.noClientCredential() };
}

function judged(acr: '1' | '2', error: EntraError | undefined): ClientProof {
  return error ? { proved: false, error } : { proved: true, acr };
}

function checkSecret(application: Application, secret: string, view: ReplicaView): EntraError | undefined {
  const match = application.passwords.seen(view.now, view.lagSeconds).find(({ text }) => text === secret);
  if (!match || match.startDateTime > view.now) return refusals.wrongSecret(application.appId);
  return match.endDateTime <= view.now ? refusals.expiredSecret(application.appId) : undefined;
}

/**
 * A federated assertion counts when issuer, subject and audience equal those of one federated credential, case and all, and its
 * signature verifies with the issuer's keys. The sandbox knows the keys of its own tenant only.
 */
async function checkAssertion(
  application: Application,
  assertion: string,
  view: ReplicaView,
): Promise<EntraError | undefined> {
  const claims = readClaims(assertion);
  if (!claims) return refusals.badAssertionSignature();
  const issuer = claims.iss ?? '';
  const ofIssuer = application.federatedCredentials
    .seen(view.now, view.lagSeconds)
    .filter((one) => one.issuer === issuer);
  if (ofIssuer.length === 0) return refusals.noMatchingIssuer(issuer);
  const ofSubject = ofIssuer.filter((one) => one.subject === claims.sub);
  if (ofSubject.length === 0) return refusals.noMatchingSubject(claims.sub ?? '');
  const presented = [claims.aud ?? []].flat();
  if (!ofSubject.some((one) => one.audiences.some((audience) => presented.includes(audience)))) {
    return refusals.noMatchingAudience(presented.join(' '));
  }
  return verifyAssertion(assertion, issuer, view);
}

async function verifyAssertion(assertion: string, issuer: string, view: ReplicaView): Promise<EntraError | undefined> {
  if (issuer !== v1Issuer(TENANT_ID) && issuer !== v2Issuer(TENANT_ID)) return refusals.badAssertionSignature();
  try {
    await jwtVerify(assertion, view.keys.verificationKey, {
      algorithms: ['RS256'],
      requiredClaims: ['exp'],
      currentDate: view.now,
    });
    return undefined;
  } catch (error) {
    const untimely = error instanceof errors.JWTExpired || error instanceof errors.JWTClaimValidationFailed;
    return untimely ? refusals.assertionOutOfTime() : refusals.badAssertionSignature();
  }
}

function readClaims(assertion: string): JWTPayload | undefined {
  try {
    return decodeJwt(assertion);
  } catch {
    return undefined;
  }
}
