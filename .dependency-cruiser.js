/**
 * Who may import whom (the picture is in the README's layout). Each room has the whole list of what it may import;
 * everything else is a mistake. dependency-cruiser sees TypeScript here through @swc/core: without it, it would see no
 * module and pass.
 */

const rooms = '^src/(callers|grants|issuing|freshness|audit|rotation)/';
const basics = '^src/(errors|log|clock)[.]ts$';
const policySchema = '^src/config/policy-schema[.]ts$';
const policySource = '^src/config/policy-source[.]ts$';
const crypto = '^(node:)?crypto$';
const packages = (...names) => `(^|/)node_modules/(${names.join('|')})/`;

/** One rule per room: all that is not listed is refused. */
const roomMayImport = (name, from, comment, allowed) => ({
  name,
  severity: 'error',
  comment,
  from: { path: from },
  to: { pathNot: allowed },
});

const forbid = (name, comment, from, to) => ({ name, severity: 'error', comment, from, to });

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    roomMayImport(
      'rooms-know-no-azure',
      rooms,
      'The noun rooms hold the rules of the product and know no SDK, no trigger and no setting. Describe what you need as a type (a port) in your room, implement it in src/azure, and join the two in src/compose.',
      [rooms, basics, policySchema, packages('jose', 'zod', 'lru-cache'), crypto],
    ),
    roomMayImport(
      'functions-only-translate',
      '^src/functions/',
      'A function reads the request, calls one operation and presents the answer. It gets its operation as an argument from src/compose; it never reaches for an SDK, an adapter, a setting or another function.',
      ['^src/http/', rooms, basics, '^src/health[.]ts$', packages('@azure/functions', 'zod')],
    ),
    roomMayImport(
      'http-knows-requests-only',
      '^src/http/',
      'src/http turns requests into values and errors into answers, for every function alike. What only one function needs belongs to that function; what decides belongs to a noun room.',
      ['^src/http/', '^src/callers/', basics, packages('@azure/functions', 'zod')],
    ),
    roomMayImport(
      'azure-implements-ports',
      '^src/azure/',
      'An adapter implements a port of a noun room on an SDK. It sees no request and no setting: src/compose hands it the URLs and credentials it needs. @azure/functions is for src/functions.',
      [
        '^src/azure/',
        rooms,
        basics,
        policySchema,
        policySource,
        packages('@azure/(?!functions/)[^/]+', 'zod'),
        crypto,
        '^(node:)?timers/promises$',
      ],
    ),
    roomMayImport(
      'oidc-asks-issuers',
      '^src/oidc/',
      'src/oidc asks OIDC issuers, which are no part of Azure, for their keys: the one place that opens a connection to a host that a policy names. It uses node:https itself, for its limits, and sees no SDK and no setting.',
      ['^src/oidc/', '^src/callers/', basics, packages('zod'), '^(node:)?(https?|dns|net)$'],
    ),
    roomMayImport(
      'config-depends-on-nothing',
      '^src/config/',
      'Settings and policy are read before anything else exists, so config imports only zod, yaml, node:crypto, node:net (which knows addresses) and itself.',
      ['^src/config/', packages('zod', 'yaml'), crypto, '^(node:)?net$'],
    ),
    roomMayImport(
      'basics-depend-on-basics',
      '^src/(errors|log|clock|health)[.]ts$',
      'errors, log, clock and health are imported by everybody; an import of a room here would make a circle sooner or later.',
      [basics],
    ),
    roomMayImport(
      'triggers-only-register',
      '^src/triggers[.]ts$',
      'src/triggers.ts joins functions with the operations that src/compose makes: it builds nothing and decides nothing.',
      ['^src/functions/', rooms, '^src/http/(oauth-)?handler[.]ts$', '^src/health[.]ts$', packages('@azure/functions')],
    ),
    forbid(
      'every-file-has-a-room',
      'This file is in no room that the rules know, so nothing would guard it. Move it, or give its new room a rule here.',
      {
        path: '^src/',
        pathNot: [
          rooms,
          '^src/(functions|http|azure|oidc|config|cli|compose)/',
          '^src/(errors|log|clock|health|main|triggers)[.]ts$',
        ],
      },
      {},
    ),
    forbid(
      'policy-as-types',
      'Outside src/config only the types of the policy are used (import type): parsing happens once, at start.',
      { path: '^src/', pathNot: ['^src/(config|cli|compose)/', '^src/main[.]ts$'] },
      { path: '^src/config/', dependencyTypesNot: ['type-only'] },
    ),
    forbid(
      'only-main-composes',
      'Adapters and settings are joined in src/main.ts and src/compose (and, for the terminal, in src/cli) and nowhere else: take what you need as an argument.',
      { path: '^(src|sandbox)/', pathNot: ['^src/(azure|oidc|config|cli|compose)/', '^src/main[.]ts$'] },
      { path: ['^src/(azure|oidc)/', '^src/config/settings[.]ts$'] },
    ),
    roomMayImport(
      'cli-calls-operations',
      '^src/cli/',
      'The terminal runs the same operations as the app: src/cli joins them with adapters and settings and prints what they say.',
      [
        '^src/(cli|config|azure)/',
        rooms,
        basics,
        packages('@azure/(core-auth|identity)', 'zod', 'yaml', 'jose'),
        '^(node:)?(crypto|fs/promises|path|process|readline/promises|readline|fs|tls|url|util|timers/promises|stream)$',
      ],
    ),
    roomMayImport(
      'compose-joins',
      '^src/compose/',
      'src/compose joins settings, policy, adapters and rooms for src/main.ts: it decides nothing and calls no SDK, so it imports no package and no function. What has a rule in it belongs to a room; what talks to Azure belongs to src/azure.',
      [
        '^src/(compose|config|azure|oidc)/',
        rooms,
        basics,
        '^src/(health|triggers)[.]ts$',
        '^(node:)?(crypto|fs/promises|path)$',
      ],
    ),
    forbid(
      'only-main-begins',
      'src/compose is put to work by src/main.ts alone; everything else gets what it needs as an argument.',
      { path: '^src/', pathNot: ['^src/compose/', '^src/main[.]ts$'] },
      { path: '^src/compose/' },
    ),
    forbid(
      'cli-is-a-leaf',
      'src/cli is for the terminal: the app needs nothing of it.',
      { path: '^src/', pathNot: '^src/cli/' },
      { path: '^src/cli/' },
    ),
    forbid(
      'nobody-imports-main',
      'src/main.ts registers the triggers when it loads. Move what you want to share into a room; to run the app, start the bundle.',
      {},
      { path: '^src/main[.]ts$' },
    ),
    roomMayImport(
      'client-stands-alone',
      '^client/',
      'client is what users of the broker install: it shares nothing with the broker but the wire.',
      ['^client/', packages('@azure/core-auth')],
    ),
    forbid(
      'client-needs-no-package',
      'client is published as plain files: of @azure/core-auth it uses the types alone (import type).',
      { path: '^client/' },
      { path: 'node_modules', dependencyTypesNot: ['type-only'] },
    ),
    forbid(
      'src-stands-alone',
      'The product knows neither its sandbox nor its tests nor its tools: only settings differ between laptop and cloud.',
      { path: '^src/' },
      { path: '^(client|sandbox|test|tools|bench)/' },
    ),
    forbid(
      'sandbox-is-a-witness',
      'The sandbox shows what Azure does, not what the broker expects, so it shares no code with it, not even by way of another file. Write the shape again, from the reference of the Azure service.',
      { path: '^sandbox/' },
      { path: '^src/', reachable: true },
    ),
    forbid(
      'sandbox-uses-no-tools',
      'Only `npm start` (sandbox/start) uses a tool, tools/build.ts, to build the app that it runs. The other parts of the sandbox need only each other.',
      { path: '^sandbox/' },
      { path: '^(test|tools)/', pathNot: '^tools/build[.]ts$' },
    ),
    forbid(
      'only-start-builds',
      'Building the app is the work of `npm start` (sandbox/start); a service, the host or the tour uses what is built.',
      { path: '^sandbox/', pathNot: '^sandbox/start(/|[.]ts$)' },
      { path: '^tools/' },
    ),
    forbid(
      'tests-are-leaves',
      'Code outside test imports nothing from it (benchmarks start the broker as tests do). Move what both need to the code, or copy the few lines.',
      { pathNot: '^(test|bench)/' },
      { path: '^test/' },
    ),
    forbid(
      'no-circles',
      'Modules in a circle can only be understood together. Move the shared part (often a type) into a file of its own.',
      {},
      { circular: true },
    ),
    forbid(
      'everything-resolves',
      'An import that cannot be resolved cannot be judged by any rule above. Mend the path, or add the package.',
      {},
      { couldNotResolve: true },
    ),
  ],
  options: {
    parser: 'swc',
    // Types count as imports: a room that needs another room's type depends on it.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.json'],
    },
  },
};
