import { readServiceToken, type ServiceCaller } from '../entra/service-token.ts';
import type { Answer, Exchange, Handler } from '../http/service.ts';
import type { Application } from '../state/directory.ts';
import { applicationResource } from './application-resource.ts';
import { createFederatedCredential } from './federated-credentials.ts';
import { graphAnswer, graphError, metadataUrl } from './graph-answers.ts';
import type { GraphContext } from './graph-context.ts';
import { addPassword, removePassword } from './passwords.ts';

const AUDIENCES = [
  'https://graph.microsoft.com',
  'https://graph.microsoft.com/',
  '00000003-0000-0000-c000-000000000000',
];
const APPLICATION_PATH =
  /^\/(?:v1\.0|beta)\/applications(?:\/(?<id>[^/]+)|\(appId='(?<appId>[^']+)'\))(?:\/(?<action>[A-Za-z]+))?$/;

/**
 * Microsoft Graph's applications: GET by object id, by `(appId='…')` and by `$filter`, addPassword, removePassword and
 * federatedIdentityCredentials. A caller needs the permission Application.ReadWrite.All, or Application.ReadWrite.OwnedBy and
 * ownership. Reads show changes late. Links are built from the `Host` header, so they name the host by which the caller came.
 */
export function createGraph(context: GraphContext): Handler {
  return async (exchange) => {
    const reading = await readServiceToken(exchange.headers.authorization, AUDIENCES, context.keys, context.clock());
    if (!reading.ok) {
      const message =
        reading.reason === 'missing' ? 'Access token is empty.' : `Access token is refused: ${reading.reason}.`;
      return graphError(exchange, { status: 401, code: 'InvalidAuthenticationToken', message }, context);
    }
    if (/^\/(v1\.0|beta)\/applications$/.test(exchange.path))
      return listApplications(exchange, reading.caller, context);
    const groups = exchange.path.match(APPLICATION_PATH)?.groups;
    if (!groups) return badRequest(exchange, 'Resource not found for the segment.', context);
    const named = groups.id ?? groups.appId ?? '';
    const application = groups.id ? context.directory.byObjectId(named) : context.directory.byAppId(named);
    if (!hasPermission(reading.caller)) return denied(exchange, context);
    if (!application) return notFound(exchange, named, context);
    if (!mayManage(reading.caller, application)) return denied(exchange, context);
    return answerApplication(exchange, application, groups.action, context);
  };
}

function answerApplication(
  exchange: Exchange,
  application: Application,
  action: string | undefined,
  context: GraphContext,
): Answer {
  const call = `${exchange.method} ${action ?? ''}`.trim();
  if (call === 'GET') return getApplication(exchange, application, context);
  if (call === 'POST addPassword') return addPassword(exchange, application, context);
  if (call === 'POST removePassword') return removePassword(exchange, application, context);
  if (call === 'POST federatedIdentityCredentials') return createFederatedCredential(exchange, application, context);
  return badRequest(exchange, `The sandbox does not know ${call} on an application.`, context);
}

function getApplication(exchange: Exchange, application: Application, context: GraphContext): Answer {
  const resource = readApplication(application, context);
  const select = exchange.query.get('$select');
  if (select === null) {
    const json = { '@odata.context': `${metadataUrl(exchange)}#applications/$entity`, ...resource };
    return graphAnswer(exchange, { status: 200, json }, context);
  }
  const names = select.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !(name in resource));
  if (unknown !== undefined) {
    return badRequest(
      exchange,
      `Could not find a property named '${unknown}' on type 'microsoft.graph.application'.`,
      context,
    );
  }
  const selected = Object.entries(resource).filter(([name]) => names.includes(name));
  const json = {
    '@odata.context': `${metadataUrl(exchange)}#applications(${names.join(',')})/$entity`,
    ...Object.fromEntries(selected),
  };
  return graphAnswer(exchange, { status: 200, json }, context);
}

function listApplications(exchange: Exchange, caller: ServiceCaller, context: GraphContext): Answer {
  if (exchange.method !== 'GET') return badRequest(exchange, 'The sandbox does not create applications.', context);
  if (!hasPermission(caller)) return denied(exchange, context, 2);
  const appId = exchange.query.get('$filter')?.match(/^appId eq '([^']*)'$/)?.[1];
  if (appId === undefined) return badRequest(exchange, "The sandbox knows only $filter=appId eq '…'.", context);
  const application = context.directory.byAppId(appId);
  if (application && !mayManage(caller, application)) return denied(exchange, context, 2);
  const value = application ? [readApplication(application, context)] : [];
  const json = { '@odata.context': `${metadataUrl(exchange)}#applications`, value };
  return graphAnswer(exchange, { status: 200, json, resourceUnits: 2 }, context);
}

function readApplication(application: Application, context: GraphContext) {
  return applicationResource(application, application.passwords.seen(context.clock(), context.propagationSeconds));
}

function hasPermission(caller: ServiceCaller): boolean {
  return hasRole(caller, 'Application.ReadWrite.OwnedBy') || hasRole(caller, 'Application.ReadWrite.All');
}

function mayManage(caller: ServiceCaller, application: Application): boolean {
  return hasRole(caller, 'Application.ReadWrite.All') || application.owners.has(caller.oid);
}

function hasRole(caller: ServiceCaller, role: string): boolean {
  return Array.isArray(caller.claims.roles) && caller.claims.roles.includes(role);
}

function denied(exchange: Exchange, context: GraphContext, resourceUnits = 1): Answer {
  const message = 'Insufficient privileges to complete the operation.';
  return graphError(exchange, { status: 403, code: 'Authorization_RequestDenied', message, resourceUnits }, context);
}

function notFound(exchange: Exchange, id: string, context: GraphContext): Answer {
  const message = `Resource '${id}' does not exist or one of its queried reference-property objects are not present.`;
  return graphError(exchange, { status: 404, code: 'Request_ResourceNotFound', message }, context);
}

function badRequest(exchange: Exchange, message: string, context: GraphContext): Answer {
  return graphError(exchange, { status: 400, code: 'Request_BadRequest', message }, context);
}
