import type { Answer } from '../http/service.ts';
import { BadPage, type Page, pageOf } from './page.ts';
import { BadSecretBody, readSetBody, readUpdateBody } from './secret-body.ts';
import { type Bundle, toBundle, toDeletedBundle, toItem, toListedSecret } from './secret-bundle.ts';
import { currentVersion, type Secret, type SecretStore, type SecretVersion } from './secret-store.ts';
import {
  beingDeleted,
  beingRecovered,
  deletedSecretNotFound,
  nameHeldByDeleted,
  secretDisabled,
  secretNotFound,
  vaultError,
} from './vault-answers.ts';
import type { VaultRoute } from './vault-route.ts';

export interface AnswerContext {
  store: SecretStore;
  /** Scheme, host and port under which the caller reached the vault. */
  vaultUrl: string;
  query: URLSearchParams;
  body: Buffer;
}

/** Does one operation for a caller who may do it. */
export function answerRoute(route: VaultRoute, context: AnswerContext): Answer {
  try {
    return doOperation(route, context);
  } catch (error) {
    if (error instanceof BadSecretBody || error instanceof BadPage)
      return vaultError(400, 'BadParameter', error.message);
    throw error;
  }
}

function doOperation(route: VaultRoute, context: AnswerContext): Answer {
  switch (route.operation) {
    case 'listSecrets':
      return listSecrets(context);
    case 'listVersions':
      return listVersions(route.name, context);
    case 'listDeleted':
      return listDeleted(context);
    case 'set':
      return setSecret(route.name, context);
    case 'get':
      return getSecret(route.name, route.version, context);
    case 'update':
      return updateSecret(route.name, route.version, context);
    case 'delete':
      return deleteSecret(route.name, context);
    case 'getDeleted':
      return getDeleted(route.name, context);
    case 'recover':
      return recoverSecret(route.name, context);
    case 'purge':
      return purgeSecret(route.name, context);
  }
}

function setSecret(name: string, { store, vaultUrl, body }: AnswerContext): Answer {
  const taken = refusalForDeleted(name, store);
  if (taken !== undefined) return taken;
  const { value, change } = readSetBody(body);
  const { secret, version } = store.set(name, value, change);
  return { status: 200, json: toBundle(vaultUrl, secret, version) };
}

function getSecret(name: string, id: string, { store, vaultUrl }: AnswerContext): Answer {
  const found = findVersion(store, name, id);
  if (found === undefined) return secretNotFound(id === '' ? name : `${name}/${id}`);
  if (!found.version.enabled) return secretDisabled();
  return { status: 200, json: toBundle(vaultUrl, found.secret, found.version) };
}

function updateSecret(name: string, id: string, { store, vaultUrl, body }: AnswerContext): Answer {
  const found = findVersion(store, name, id);
  if (found === undefined) return secretNotFound(id === '' ? name : `${name}/${id}`);
  store.update(found.version, readUpdateBody(body));
  return { status: 200, json: toItem(vaultUrl, found.secret, found.version) };
}

function deleteSecret(name: string, { store, vaultUrl }: AnswerContext): Answer {
  const deleted = store.remove(name);
  if (deleted === undefined) return secretNotFound(name);
  return { status: 200, json: toDeletedBundle(vaultUrl, deleted) };
}

function getDeleted(name: string, { store, vaultUrl }: AnswerContext): Answer {
  const deleted = store.findDeleted(name);
  if (deleted === undefined) return deletedSecretNotFound(name);
  return { status: 200, json: toDeletedBundle(vaultUrl, deleted) };
}

function recoverSecret(name: string, { store, vaultUrl }: AnswerContext): Answer {
  if (store.stateOf(name) === 'beingDeleted') return beingDeleted(name);
  const secret = store.recover(name);
  if (secret === undefined) return deletedSecretNotFound(name);
  return { status: 200, json: toItem(vaultUrl, secret, currentVersion(secret)) };
}

function purgeSecret(name: string, { store }: AnswerContext): Answer {
  if (store.stateOf(name) === 'beingDeleted') return beingDeleted(name);
  return store.purge(name) ? { status: 204 } : deletedSecretNotFound(name);
}

function listSecrets(context: AnswerContext): Answer {
  const page = pageOf(context.store.list(), ({ name }) => name.toLowerCase(), context.query);
  const value = page.items.map((secret) => toListedSecret(context.vaultUrl, secret));
  return listAnswer('/secrets', value, page, context);
}

/** Ordered by the versions' ids, so the order says nothing about which one is newer. */
function listVersions(name: string, context: AnswerContext): Answer {
  const secret = context.store.find(name);
  if (secret === undefined) return secretNotFound(name);
  const ordered = secret.versions.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const page = pageOf(ordered, ({ id }) => id, context.query);
  const value = page.items.map((version) => toItem(context.vaultUrl, secret, version));
  return listAnswer(`/secrets/${secret.name}/versions`, value, page, context);
}

function listDeleted(context: AnswerContext): Answer {
  const page = pageOf(context.store.listDeleted(), ({ secret }) => secret.name.toLowerCase(), context.query);
  const value = page.items.map((deleted) => toDeletedBundle(context.vaultUrl, deleted));
  return listAnswer('/deletedsecrets', value, page, context);
}

/** `nextLink` carries api-version and maxresults of the first call, and is null on the last page. */
function listAnswer(path: string, value: Bundle[], page: Page<unknown>, { vaultUrl, query }: AnswerContext): Answer {
  if (page.skipToken === undefined) return { status: 200, json: { value, nextLink: null } };
  const maxResults = query.get('maxresults');
  const size = maxResults === null ? '' : `&maxresults=${maxResults}`;
  const nextLink = `${vaultUrl}${path}?api-version=${query.get('api-version')}&$skiptoken=${page.skipToken}${size}`;
  return { status: 200, json: { value, nextLink } };
}

function findVersion(
  store: SecretStore,
  name: string,
  id: string,
): { secret: Secret; version: SecretVersion } | undefined {
  const secret = store.find(name);
  if (secret === undefined) return undefined;
  const version = id === '' ? currentVersion(secret) : secret.versions.find((one) => one.id === id);
  return version === undefined ? undefined : { secret, version };
}

function refusalForDeleted(name: string, store: SecretStore): Answer | undefined {
  switch (store.stateOf(name)) {
    case 'beingDeleted':
      return beingDeleted(name);
    case 'deleted':
      return nameHeldByDeleted(name);
    case 'recovering':
      return beingRecovered(name);
    default:
      return undefined;
  }
}
