import { createRequire } from 'node:module';

/** The services of Azurite, each with an own program. */
const azuriteServices = ['table', 'blob', 'queue'] as const;

export type AzuriteService = (typeof azuriteServices)[number];

export function isAzuriteService(text: string): text is AzuriteService {
  return azuriteServices.some((service) => service === text);
}

/** Absolute path of the program of one Azurite service, wherever npm put the package. */
export function azuriteEntryPoint(service: AzuriteService): string {
  return createRequire(import.meta.url).resolve(`azurite/dist/src/${service}/main.js`);
}
