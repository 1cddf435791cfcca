import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { BROKER_API, RESOURCE_GROUP, SUBSCRIPTION_ID, TENANT_ID, TRAINER } from '../../sandbox/seed.ts';

const STRANGER = '99999999-0000-4000-8000-000000000000';

/** Where the parts of a running `npm start` are; from its endpoints.json. */
export type Endpoints = Readonly<Record<string, string>>;

/** A caller's token for the broker, made by the sandbox. */
async function makeToken({ control }: Endpoints, caller: object): Promise<string> {
  const headers = { 'content-type': 'application/json', accept: 'text/plain' };
  const answer = await fetch(`${control}/callers`, { method: 'POST', headers, body: JSON.stringify(caller) });
  if (!answer.ok) throw new Error(`The sandbox made no caller token: POST /callers answered ${answer.status}.`);
  return answer.text();
}

/**
 * All that a client is told: nothing of this process's environment but PATH, so that no proxy, profile or credential of the machine
 * plays a part. The names without a prefix are for our scripts; the others are the packages' own.
 */
export async function clientEnvironment(endpoints: Endpoints, folder: string): Promise<Record<string, string>> {
  const { brokerTls = '', arm = '', caCertificate = '' } = endpoints;
  const callerFile = path.join(folder, 'caller-token');
  const strangerFile = path.join(folder, 'stranger-token');
  await writeFile(callerFile, await makeToken(endpoints, {}), { mode: 0o600 });
  await writeFile(strangerFile, await makeToken(endpoints, { oid: STRANGER }), { mode: 0o600 });
  return {
    PATH: process.env.PATH ?? '',
    HOME: folder,
    WORK_FOLDER: folder,
    BROKER_URL: brokerTls,
    ARM_URL: arm,
    TENANT_ID,
    CLIENT_ID: TRAINER.appId,
    // The broker's own API: no identity that it hands out tokens of to a program.
    UNKNOWN_CLIENT_ID: BROKER_API.appId,
    SUBSCRIPTION_ID,
    RESOURCE_GROUP,
    CALLER_TOKEN_FILE: callerFile,
    STRANGER_TOKEN_FILE: strangerFile,
    // WorkloadIdentityCredential, in Python and in JavaScript
    AZURE_AUTHORITY_HOST: brokerTls,
    AZURE_TENANT_ID: TENANT_ID,
    AZURE_CLIENT_ID: TRAINER.appId,
    AZURE_FEDERATED_TOKEN_FILE: callerFile,
    // MLClient: in which cloud it works
    ARM_CLOUD_METADATA_URL: `${arm}/metadata/endpoints?api-version=2019-05-01`,
    // whom to trust: requests, Node, curl
    REQUESTS_CA_BUNDLE: caCertificate,
    SSL_CERT_FILE: caCertificate,
    NODE_EXTRA_CA_CERTS: caCertificate,
    CURL_CA_BUNDLE: caCertificate,
    PYTHONDONTWRITEBYTECODE: '1',
  };
}
