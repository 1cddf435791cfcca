import * as z from 'zod';
import type { SecretChange } from './secret-store.ts';

const maxValueCharacters = 25_600;
const maxTags = 15;
const maxTagCharacters = 256;
const maxContentTypeCharacters = 255;

const tagText = z.string().max(maxTagCharacters, `A tag's name and value have at most ${maxTagCharacters} characters.`);
const epochSeconds = z.int().nonnegative();

const changeFields = {
  contentType: z.string().max(maxContentTypeCharacters).nullish(),
  tags: z
    .record(tagText, tagText)
    .refine((tags) => Object.keys(tags).length <= maxTags, `A secret has at most ${maxTags} tags.`)
    .nullish(),
  attributes: z
    .object({ enabled: z.boolean().nullish(), nbf: epochSeconds.nullish(), exp: epochSeconds.nullish() })
    .nullish(),
};

const setBody = z.object({
  value: z.string().max(maxValueCharacters, `A secret's value has at most ${maxValueCharacters} characters.`),
  ...changeFields,
});
const updateBody = z.object(changeFields);

/** A body that Key Vault answers with 400 BadParameter; the message never repeats the value. */
export class BadSecretBody extends Error {}

/** Reads the body of `PUT /secrets/{name}`. @throws BadSecretBody */
export function readSetBody(body: Buffer): { value: string; change: SecretChange } {
  const { value, ...rest } = parse(setBody, body);
  return { value, change: toChange(rest) };
}

/** Reads the body of `PATCH /secrets/{name}/{version}`; a `value` in it is ignored. @throws BadSecretBody */
export function readUpdateBody(body: Buffer): SecretChange {
  return toChange(parse(updateBody, body));
}

function parse<Schema extends z.ZodType>(schema: Schema, body: Buffer): z.output<Schema> {
  let json: unknown;
  try {
    json = JSON.parse(body.toString('utf8'));
  } catch {
    throw new BadSecretBody('The request body is not valid JSON.');
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new BadSecretBody(`The parameter ${issue?.path.join('.') || 'body'} is not valid. ${issue?.message ?? ''}`);
}

function toChange(fields: z.output<typeof updateBody>): SecretChange {
  const { enabled, nbf, exp } = fields.attributes ?? {};
  return {
    contentType: fields.contentType ?? undefined,
    tags: fields.tags ?? undefined,
    enabled: enabled ?? undefined,
    notBefore: toInstant(nbf),
    expires: toInstant(exp),
  };
}

function toInstant(seconds: number | null | undefined): Date | undefined {
  return typeof seconds === 'number' ? new Date(seconds * 1000) : undefined;
}
