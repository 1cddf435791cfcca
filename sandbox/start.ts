import { runUntilEnded } from './start/lifetime.ts';
import { startEverything } from './start/start-everything.ts';

/** `npm start`; with `--without-broker`, `npm run sandbox`. */
await runUntilEnded((lifetime) =>
  startEverything({
    withBroker: !process.argv.includes('--without-broker'),
    environment: process.env,
    print: (text) => process.stdout.write(`${text}\n`),
    lifetime,
  }),
);
