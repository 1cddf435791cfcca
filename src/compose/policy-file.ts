import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { PolicySource } from '../config/policy-source.ts';
import { BrokerError } from '../errors.ts';
import { nameError } from '../log.ts';

/** The policy as a file of the package (or one mounted beside it), told from its other versions by its content. */
export function createPolicyFile(appFolder: string, file: string): PolicySource {
  return {
    async read(known) {
      try {
        const text = await readFile(path.resolve(appFolder, file), 'utf8');
        const version = createHash('sha256').update(text).digest('hex');
        return version === known ? 'unchanged' : { text, version };
      } catch (error) {
        const reason = `POLICY: the file ${file} cannot be read: ${nameError(error)}`;
        throw new BrokerError('config_invalid', { reason, cause: error });
      }
    },
  };
}
