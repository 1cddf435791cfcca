import Module from 'node:module';
import type { FunctionCallback, FunctionMetadata, HookCallback, ProgrammingModel } from './core-contract.ts';
import type { Logger } from './logger.ts';
import { StartError } from './start-error.ts';

const HOOK_NAMES = ['appStart', 'appTerminate', 'preInvocation', 'postInvocation', 'log'] as const;
export type HookName = (typeof HOOK_NAMES)[number];

export interface Registration {
  metadata: FunctionMetadata;
  handler: FunctionCallback;
}

/** What the app has registered while it loaded. */
export interface CoreModule {
  registrations: readonly Registration[];
  model(): ProgrammingModel | undefined;
  hooks(name: HookName): readonly HookCallback[];
  /** From here on a registration throws, as in the real worker. */
  close(): void;
}

/**
 * Answers `require('@azure/functions-core')` of this process with this host's own module, by replacing `Module.prototype.require` as the
 * real worker does. Call it before the app is imported: the library asks once, and without an answer registers nothing.
 */
export function installCoreModule(logger: Logger): CoreModule {
  const registrations: Registration[] = [];
  const hooks = new Map<HookName, HookCallback[]>(HOOK_NAMES.map((name) => [name, []]));
  const names = new Set<string>();
  let model: ProgrammingModel | undefined;
  let open = true;

  class Disposable {
    #dispose: () => void;
    constructor(dispose: () => void) {
      this.#dispose = dispose;
    }
    dispose() {
      this.#dispose();
    }
  }

  const core = {
    version: '3.11.0',
    hostVersion: '4.1040.0',
    Disposable,
    setProgrammingModel(value: ProgrammingModel) {
      model = value;
    },
    getProgrammingModel: () => model,
    registerFunction(metadata: FunctionMetadata, handler: FunctionCallback) {
      if (!open) throw new StartError(`The function "${metadata.name}" was registered after the app had started.`);
      const key = metadata.name.toLowerCase();
      if (names.has(key)) throw new StartError(`Two functions are named "${metadata.name}". Rename one of them.`);
      names.add(key);
      registrations.push({ metadata, handler });
      return new Disposable(() => {
        throw new StartError('A registered function cannot be taken back.');
      });
    },
    registerHook(name: string, callback: HookCallback) {
      const known = HOOK_NAMES.find((hook) => hook === name);
      const list = known && hooks.get(known);
      if (!list) throw new RangeError(`There is no hook named "${name}". Known are ${HOOK_NAMES.join(', ')}.`);
      list.push(callback);
      return new Disposable(() => {
        const at = list.indexOf(callback);
        if (at >= 0) list.splice(at, 1);
      });
    },
    log: (level: string, category: string, message: string) => logger.library(level, category, message),
  };

  Module.prototype.require = new Proxy(Module.prototype.require, {
    apply: (target, self, args) => (args[0] === '@azure/functions-core' ? core : Reflect.apply(target, self, args)),
  });

  return {
    registrations,
    model: () => model,
    hooks: (name) => hooks.get(name) ?? [],
    close() {
      open = false;
    },
  };
}
