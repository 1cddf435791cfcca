import { type Cloud, clouds } from '../config/clouds.ts';
import { CliError } from './cli-error.ts';

/** Hosts of Entra that az and older tools print, by the cloud that they mean (Microsoft Learn: national clouds). */
const hosts: Readonly<Record<string, keyof typeof clouds>> = {
  'login.microsoftonline.com': 'public',
  'login.windows.net': 'public',
  'login.microsoft.com': 'public',
  'login.partner.microsoftonline.cn': 'china',
  'login.chinacloudapi.cn': 'china',
  'login.microsoftonline.us': 'usgovernment',
};

const hostOf = (url: string): string =>
  (URL.canParse(url) ? new URL(url).host : url.replace(/\/.*$/, '')).toLowerCase();

/**
 * Refuses a secret of another cloud than the broker's: it would be sent to an Entra that must not see it. A cloud whose
 * addresses are settings (`custom`) has nothing that a file's could be compared with.
 *
 * @throws CliError exit code 2
 */
export function checkCloud(authorityUrl: string | undefined, { authorityHost }: Cloud): void {
  const ours = Object.entries(clouds).find(([, known]) => known.authorityHost === authorityHost)?.[0];
  if (authorityUrl === undefined || ours === undefined) return;
  const theirs = hosts[hostOf(authorityUrl)];
  if (theirs === ours) return;
  const named = theirs === undefined ? 'a cloud that the broker does not know' : `the cloud ${theirs}`;
  throw new CliError(
    2,
    `The secret is of ${named}, and AZURE_CLOUD is ${ours}. Import it with the settings of a broker in its own cloud.`,
  );
}
