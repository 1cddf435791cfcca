import { type ApplicationPassword, hintOf } from '../state/application-password.ts';
import type { Application } from '../state/directory.ts';

/** The application as Graph shows it; passwords without their text. */
export function applicationResource(application: Application, passwords: readonly ApplicationPassword[]) {
  return {
    id: application.id,
    deletedDateTime: null,
    appId: application.appId,
    applicationTemplateId: null,
    disabledByMicrosoftStatus: null,
    createdDateTime: graphInstant(application.createdDateTime),
    displayName: application.displayName,
    description: null,
    groupMembershipClaims: null,
    identifierUris: [...application.identifierUris],
    isDeviceOnlyAuthSupported: null,
    isFallbackPublicClient: null,
    notes: null,
    publisherDomain: 'contoso.onmicrosoft.com',
    serviceManagementReference: null,
    signInAudience: 'AzureADandPersonalMicrosoftAccount',
    tags: [],
    tokenEncryptionKeyId: null,
    defaultRedirectUri: null,
    certification: null,
    optionalClaims: null,
    addIns: [],
    api: {
      acceptMappedClaims: null,
      knownClientApplications: [],
      requestedAccessTokenVersion: 2,
      oauth2PermissionScopes: [],
      preAuthorizedApplications: [],
    },
    appRoles: [],
    info: { logoUrl: null, marketingUrl: null, privacyStatementUrl: null, supportUrl: null, termsOfServiceUrl: null },
    keyCredentials: [],
    parentalControlSettings: { countriesBlockedForMinors: [], legalAgeGroupRule: 'Allow' },
    passwordCredentials: passwords.map((password) => passwordResource(password, null)),
    publicClient: { redirectUris: [] },
    requiredResourceAccess: [],
    verifiedPublisher: { displayName: null, verifiedPublisherId: null, addedDateTime: null },
    web: {
      homePageUrl: null,
      logoutUrl: null,
      redirectUris: [],
      implicitGrantSettings: { enableAccessTokenIssuance: false, enableIdTokenIssuance: false },
    },
    spa: { redirectUris: [] },
  };
}

/** A passwordCredential; `secretText` is the text in the answer of addPassword only, else null. */
export function passwordResource(password: ApplicationPassword, secretText: string | null) {
  return {
    customKeyIdentifier: null,
    displayName: password.displayName,
    endDateTime: graphInstant(password.endDateTime),
    hint: hintOf(password),
    keyId: password.keyId,
    secretText,
    startDateTime: graphInstant(password.startDateTime),
  };
}

/** ISO 8601 UTC: whole seconds without a fraction, anything finer with 7 digits. */
function graphInstant(instant: Date): string {
  const [seconds = '', fraction = ''] = instant.toISOString().split(/[.Z]/);
  return fraction === '000' ? `${seconds}Z` : `${seconds}.${fraction}0000Z`;
}
