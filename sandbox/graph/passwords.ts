import * as z from 'zod';
import type { Answer, Exchange } from '../http/service.ts';
import { makePassword } from '../state/application-password.ts';
import type { Application } from '../state/directory.ts';
import { passwordResource } from './application-resource.ts';
import { graphAnswer, graphError, graphNoContent, graphUrl, metadataUrl } from './graph-answers.ts';
import type { GraphContext } from './graph-context.ts';
import { readJson } from './read-json.ts';

const instant = z.iso.datetime({ offset: true }).transform((text) => new Date(text));

const addPasswordBody = z.object({
  passwordCredential: z
    .object({
      displayName: z.string().nullish(),
      startDateTime: instant.nullish(),
      endDateTime: instant.nullish(),
    })
    .nullish(),
});

const removePasswordBody = z.object({ keyId: z.guid() });

/** Beyond this many, the directory object is too large. */
const MAX_PASSWORDS = 400;

/** addPassword: makes a password and shows its text, this once. Not idempotent. */
export function addPassword(exchange: Exchange, application: Application, context: GraphContext): Answer {
  const body = addPasswordBody.safeParse(readJson(exchange));
  if (!body.success) return badRequest(exchange, 'The body must be a JSON object, at least {}.', context);
  if (application.passwords.written().length >= MAX_PASSWORDS) return tooLarge(exchange, context);
  const { displayName, startDateTime, endDateTime } = body.data.passwordCredential ?? {};
  const now = context.clock();
  const wanted = { displayName, startDateTime: startDateTime ?? undefined, endDateTime: endDateTime ?? undefined };
  const password = makePassword(wanted, now, context.random);
  if (password.endDateTime <= password.startDateTime) {
    return badRequest(
      exchange,
      'Invalid value specified for property endDateTime: it must be after startDateTime.',
      context,
    );
  }
  application.passwords.add(password, now);
  const json = {
    '@odata.context': `${metadataUrl(exchange)}#microsoft.graph.passwordCredential`,
    ...passwordResource(password, password.text),
  };
  return graphAnswer(exchange, { status: 200, json, headers: { Location: graphUrl(exchange) } }, context);
}

/**
 * removePassword: 204, or 400 for an unknown keyId. A password that reads do not show yet counts as unknown, one that was
 * removed is unknown at once.
 */
export function removePassword(exchange: Exchange, application: Application, context: GraphContext): Answer {
  const body = removePasswordBody.safeParse(readJson(exchange));
  if (!body.success) return badRequest(exchange, 'The body must name the keyId, a GUID.', context);
  const { keyId } = body.data;
  const now = context.clock();
  const shown = application.passwords.seen(now, context.propagationSeconds).some((one) => one.keyId === keyId);
  const removed = shown ? application.passwords.remove((one) => one.keyId === keyId, now) : undefined;
  if (!removed) return badRequest(exchange, `No password credential found with keyId ${keyId}.`, context);
  return graphNoContent(exchange, context);
}

function badRequest(exchange: Exchange, message: string, context: GraphContext): Answer {
  return graphError(exchange, { status: 400, code: 'Request_BadRequest', message }, context);
}

function tooLarge(exchange: Exchange, context: GraphContext): Answer {
  const message =
    'The size of the object has exceeded its limit. Please reduce the number of values and retry your request.';
  return graphError(exchange, { status: 403, code: 'Directory_ResourceSizeExceeded', message }, context);
}
