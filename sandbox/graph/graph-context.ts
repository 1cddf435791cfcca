import type { EntraKeys } from '../entra/keys.ts';
import type { Directory } from '../state/directory.ts';
import type { GraphAnswerContext } from './graph-answers.ts';

/** What every call of Graph works on. */
export interface GraphContext extends GraphAnswerContext {
  directory: Directory;
  keys: EntraKeys;
  /** How late reads see writes. */
  propagationSeconds: number;
}
