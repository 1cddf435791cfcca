import { odata } from '@azure/data-tables';
import * as z from 'zod';
import { UpstreamError } from '../errors.ts';
import { isTableNotFound, type Tables } from './tables.ts';
import { callAzure, parseAnswer } from './transport.ts';

const service = 'rotation records';
const TABLE = 'rotations';

/** Table Storage's limit for a text: 64 KiB of UTF-16. */
const MAX_CHARACTERS = 32_768;

/** Records of one kind, one row for each. Everything fails with UpstreamError. */
export interface RecordRows<T> {
  /** All that can be read, in one call; a row that cannot fails where it is read, and holds up no other. */
  list(): Promise<readonly T[]>;
  /** The record with its mark; an empty one without mark where there is no row. */
  read(rotation: string): Promise<{ record: T; etag: string | undefined }>;
  /** @throws UpstreamError `conflict` when another wrote, or the row was lost, since the read */
  write(record: T, etag: string | undefined): Promise<{ record: T; etag: string | undefined }>;
}

export interface RecordRowsOptions<T> {
  tables: Tables;
  /** The rows of one kind: `secret` or `endpoint-keys`. */
  partition: string;
  /** Reads what JSON made of a record; see `instant` and `orUndefined`. */
  schema: z.ZodType<T>;
  empty: (rotation: string) => T;
}

const row = z.looseObject({ rowKey: z.string(), etag: z.string().min(1), record: z.string() });
const written = z.looseObject({ etag: z.string().min(1) });

/** An absent value is null in JSON, so that a row that lost a field is not taken for one without a value. */
const toText = (record: object): string => JSON.stringify(record, (_, value) => (value === undefined ? null : value));

function fromText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** There is no such row, or no such table; any other 404 says nothing of the row. */
const isAbsent = (error: unknown): boolean =>
  isTableNotFound(error) || (error instanceof UpstreamError && error.upstreamCode === 'ResourceNotFound');

/** What a refused write means: only "another was first" is a conflict. */
function toWriteError(thrown: unknown, etag: string | undefined): unknown {
  if (!(thrown instanceof UpstreamError)) return thrown;
  const { status, upstreamCode, retryAfterSeconds } = thrown;
  const overtaken =
    status === 412 || upstreamCode === 'EntityAlreadyExists' || (etag !== undefined && isAbsent(thrown));
  if (!overtaken && thrown.kind !== 'conflict') return thrown;
  const kind = overtaken ? 'conflict' : 'unavailable';
  return new UpstreamError({ service, kind, status, upstreamCode, retryAfterSeconds, cause: thrown });
}

/**
 * Records in Table Storage, as JSON in one text column. Writes are conditional by ETag. The table is made by the first
 * write. A row that does not follow the schema (broken, edited, of a newer broker) is `unexpected`, never empty.
 */
export function createRecordRows<T extends { rotation: string }>(options: RecordRowsOptions<T>): RecordRows<T> {
  const { tables, partition, schema, empty } = options;
  const table = () => tables.table(TABLE);

  const parseRow = (entity: unknown): { record: T; etag: string } => {
    const { rowKey, etag, record: text } = parseAnswer(service, row, entity);
    const record = parseAnswer(service, schema, fromText(text));
    // A row that was copied under another name.
    if (record.rotation !== rowKey) {
      throw new UpstreamError({ service, kind: 'unexpected', upstreamCode: 'contract:rotation' });
    }
    return { record, etag };
  };

  /** The text to store. What could not be read again, or does not fit, is not written: the row stays as it was. */
  const encode = (record: T): string => {
    const text = toText(record);
    parseAnswer(service, schema, fromText(text));
    if (text.length > MAX_CHARACTERS) {
      throw new UpstreamError({ service, kind: 'unexpected', upstreamCode: 'record_too_large' });
    }
    return text;
  };

  const insert = async (entity: { partitionKey: string; rowKey: string; record: string }): Promise<unknown> => {
    const create = () => callAzure(service, () => table().createEntity(entity));
    try {
      return await create();
    } catch (error) {
      if (!isTableNotFound(error)) throw error;
      await tables.ensure(TABLE);
      return create();
    }
  };

  return {
    async list() {
      const records: T[] = [];
      try {
        await callAzure(service, async () => {
          const filter = odata`PartitionKey eq ${partition}`;
          for await (const entity of table().listEntities({ queryOptions: { filter } })) {
            try {
              records.push(parseRow(entity).record);
            } catch (error) {
              if (!(error instanceof UpstreamError)) throw error;
            }
          }
        });
      } catch (error) {
        if (!isTableNotFound(error)) throw error;
      }
      return records;
    },

    async read(rotation) {
      let entity: unknown;
      try {
        entity = await callAzure(service, () => table().getEntity(partition, rotation));
      } catch (error) {
        if (isAbsent(error)) return { record: empty(rotation), etag: undefined };
        throw error;
      }
      return parseRow(entity);
    },

    async write(record, etag) {
      const entity = { partitionKey: partition, rowKey: record.rotation, record: encode(record) };
      try {
        const answer =
          etag === undefined
            ? await insert(entity)
            : await callAzure(service, () => table().updateEntity(entity, 'Replace', { etag }));
        return { record, etag: parseAnswer(service, written, answer).etag };
      } catch (error) {
        throw toWriteError(error, etag);
      }
    },
  };
}

/** A Date, from what JSON made of it. */
export const instant = z.iso.datetime().transform((text) => new Date(text));

/** A value or undefined, from what `toText` made of it. */
export const orUndefined = <Schema extends z.ZodType>(schema: Schema) =>
  schema.nullable().transform((value) => value ?? undefined);
