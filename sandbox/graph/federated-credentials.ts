import * as z from 'zod';
import type { Answer, Exchange } from '../http/service.ts';
import { TENANT_ID } from '../seed.ts';
import type { Application, FederatedCredential } from '../state/directory.ts';
import { graphAnswer, graphError, graphUrl, metadataUrl } from './graph-answers.ts';
import type { GraphContext } from './graph-context.ts';
import { readJson } from './read-json.ts';

const bodySchema = z.object({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,119}$/),
  issuer: z.url(),
  subject: z.string().min(1),
  description: z.string().nullish(),
  audiences: z.array(z.string().min(1)).length(1),
});

const MAX_CREDENTIALS = 20;

/** Adds a trust in another issuer; Entra's replicas learn of it one by one. */
export function createFederatedCredential(exchange: Exchange, application: Application, context: GraphContext): Answer {
  const body = bodySchema.safeParse(readJson(exchange));
  const refuse = (status: number, code: string, message: string) =>
    graphError(exchange, { status, code, message }, context);
  if (!body.success) return refuse(400, 'Request_BadRequest', 'The body needs name, issuer, subject and one audience.');
  const existing = application.federatedCredentials.written();
  if (existing.length >= MAX_CREDENTIALS) {
    return refuse(400, 'Request_BadRequest', `An application has at most ${MAX_CREDENTIALS} federated credentials.`);
  }
  const { name, issuer, subject, audiences } = body.data;
  if (existing.some((one) => one.name === name || (one.issuer === issuer && one.subject === subject))) {
    const code = 'Request_MultipleObjectsWithSameKeyValue';
    return refuse(
      409,
      code,
      'A federated credential with this name, or with this issuer and subject, is there already.',
    );
  }
  const description = body.data.description ?? null;
  const credential: FederatedCredential = { id: context.random.id(), name, issuer, subject, description, audiences };
  application.federatedCredentials.add(credential, context.clock());
  const entity = `#applications('${application.id}')/federatedIdentityCredentials/$entity`;
  const json = { '@odata.context': `${metadataUrl(exchange)}${entity}`, ...credential };
  const headers = { Location: `${graphUrl(exchange)}/v2/${TENANT_ID}/federatedIdentityCredentials/${credential.id}` };
  return graphAnswer(exchange, { status: 201, json, headers }, context);
}
