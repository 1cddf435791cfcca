import * as z from 'zod';
import type { EndpointOperations } from '../arm/endpoint-operations.ts';
import type { PolicyOperations } from '../blobs/start-policy-blob.ts';
import type { SecretOperations } from '../key-vault/secret-operations.ts';
import type { AuthMode } from '../seed.ts';
import type { ApplicationOperations } from '../state/application-operations.ts';

export interface AdministratorOperations {
  applications: ApplicationOperations;
  secrets: SecretOperations;
  endpoints: EndpointOperations;
  /** Undefined: the policy is no blob here. */
  policy: PolicyOperations | undefined;
}

/** One operation by hand: checks the body, does the work, gives what to answer. Throws ZodError or an Error that tells what to do. */
export type Operation = (body: unknown) => Promise<unknown>;

const text = z.string().min(1);
const endpointName = { workspace: text, endpoint: text };

const AUTH_MODES: Readonly<Record<string, AuthMode>> = { amltoken: 'AMLToken', key: 'Key', aadtoken: 'AADToken' };

/** Azure's words (`AMLToken`) and the broker's (`aml_token`) alike. */
const authMode = z.string().transform((word, context) => {
  const mode = AUTH_MODES[word.replaceAll('_', '').toLowerCase()];
  if (mode) return mode;
  context.addIssue({ code: 'custom', message: 'must be AMLToken, Key or AADToken' });
  return z.NEVER;
});

/** The operations of `POST /operations/{name}`. */
export function createOperations({
  applications,
  secrets,
  endpoints,
  policy,
}: AdministratorOperations): Map<string, Operation> {
  return new Map([
    operation('delete-endpoint', z.strictObject(endpointName), (input) => endpoints.deleteEndpoint(input)),
    operation('recreate-endpoint', z.strictObject(endpointName), (input) => endpoints.recreateEndpoint(input)),
    operation('set-auth-mode', z.strictObject({ ...endpointName, authMode }), (input) => endpoints.setAuthMode(input)),
    operation(
      'add-password',
      z.strictObject({ application: text, displayName: text.optional(), lifetimeSeconds: z.int().optional() }),
      (input) => applications.addPassword(input),
    ),
    operation('remove-password', z.strictObject({ application: text, keyId: z.guid() }), (input) =>
      applications.removePassword(input),
    ),
    operation('drop-owner', z.strictObject({ application: text, owner: z.guid().optional() }), (input) =>
      applications.dropOwner(input),
    ),
    operation(
      'set-secret',
      z.strictObject({ name: text, value: z.string(), tags: z.record(z.string(), z.string()).exactOptional() }),
      (input) => secrets.setSecret(input),
    ),
    operation('disable-secret', z.strictObject({ name: text, version: text.exactOptional() }), (input) =>
      secrets.disableSecret(input),
    ),
    operation('delete-secret', z.strictObject({ name: text }), (input) => secrets.deleteSecret(input)),
    operation('write-policy', z.strictObject({ text: z.string() }), (input) => inBlob(policy).write(input.text)),
    operation('delete-policy', z.strictObject({}), () => inBlob(policy).remove()),
  ]);
}

function inBlob(policy: PolicyOperations | undefined): PolicyOperations {
  if (policy !== undefined) return policy;
  throw new Error('The policy is a file here. Start the sandbox with SANDBOX_POLICY_BLOB=on to have it in a blob.');
}

function operation<Schema extends z.ZodType>(
  name: string,
  schema: Schema,
  run: (input: z.output<Schema>) => unknown,
): [string, Operation] {
  return [name, async (body) => (await run(schema.parse(body))) ?? {}];
}
