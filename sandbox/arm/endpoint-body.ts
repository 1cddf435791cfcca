import * as z from 'zod';
import { authModeSchema } from './endpoint-operations.ts';
import type { EndpointSettings, KeyType } from './endpoint-store.ts';

/** A body that Azure ML answers with 400. */
export class BadEndpointBody extends Error {}

const texts = z.record(z.string(), z.string());
const percentages = z.record(z.string(), z.int().min(0).max(100));
const properties = z.object({
  authMode: authModeSchema,
  compute: z.string().min(1).nullish(),
  description: z.string().nullish(),
  traffic: percentages.nullish(),
  mirrorTraffic: percentages.nullish(),
  properties: texts.nullish(),
});
const putBody = z.object({ location: z.string(), tags: texts.nullish(), properties });
const patchBody = z.object({ tags: texts.nullish(), properties: properties.partial().nullish() });
const keysBody = z.object({ keyType: z.enum(['Primary', 'Secondary']), keyValue: z.string().min(1).nullish() });

/** Reads the body of PUT: the whole endpoint. @throws BadEndpointBody */
export function readEndpoint(body: Buffer): EndpointSettings {
  const { tags, properties: given } = parse(putBody, body);
  return {
    authMode: given.authMode,
    compute: given.compute ?? null,
    description: given.description ?? null,
    traffic: given.traffic ?? {},
    mirrorTraffic: given.mirrorTraffic ?? {},
    properties: given.properties ?? {},
    tags: tags ?? {},
  };
}

/** Reads the body of PATCH: only what is to change. @throws BadEndpointBody */
export function readEndpointPatch(body: Buffer): Partial<EndpointSettings> {
  const { tags, properties: given } = parse(patchBody, body);
  const { description, authMode, ...maps } = given ?? {};
  const named = Object.entries({ ...maps, tags, authMode }).filter(
    ([, value]) => value !== undefined && value !== null,
  );
  return { ...Object.fromEntries(named), ...(description === undefined ? {} : { description }) };
}

/** Reads the body of `regenerateKeys`. @throws BadEndpointBody */
export function readKeyRequest(body: Buffer): { keyType: KeyType; keyValue: string | undefined } {
  const { keyType, keyValue } = parse(keysBody, body);
  return { keyType, keyValue: keyValue ?? undefined };
}

function parse<Schema extends z.ZodType>(schema: Schema, body: Buffer): z.output<Schema> {
  let json: unknown;
  try {
    json = JSON.parse(body.toString('utf8'));
  } catch {
    throw new BadEndpointBody('The request body is not valid JSON.');
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new BadEndpointBody(`The field ${issue?.path.join('.') || 'body'} is not valid. ${issue?.message ?? ''}`);
}
