import { armExamples } from './arm-examples.ts';
import { entraExamples } from './entra-examples.ts';
import type { ExampleHandler } from './example.ts';
import { functionsExamples } from './functions-examples.ts';
import { graphExamples } from './graph-examples.ts';
import { keyVaultExamples } from './key-vault-examples.ts';
import { managedIdentityExamples } from './managed-identity-examples.ts';
import { scoringExamples } from './scoring-examples.ts';
import { tablesExamples } from './tables-examples.ts';
import { webServiceExamples } from './web-service-examples.ts';

const handlers = new Map<string, ExampleHandler>(
  Object.entries({
    ...armExamples,
    ...entraExamples,
    ...functionsExamples,
    ...graphExamples,
    ...keyVaultExamples,
    ...managedIdentityExamples,
    ...scoringExamples,
    ...tablesExamples,
    ...webServiceExamples,
  }),
);

/** What to do with an example file, by its name; undefined: nobody has thought about it yet. */
export function handlerFor(fileName: string): ExampleHandler | undefined {
  if (fileName.endsWith('.constructed.json')) {
    return { doesNotApply: 'not compared: constructed (put together from seen texts, never an answer of the service)' };
  }
  return handlers.get(fileName);
}
