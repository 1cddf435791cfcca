import { BlockList, isIP } from 'node:net';

/**
 * Addresses at which no issuer of another party can be: this machine, this link, and what the platform keeps for itself
 * (IANA special-purpose address registries, RFC 6890; 168.63.129.16 is Azure's own on every virtual network).
 */
const here = listOf(
  ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '168.63.129.16/32', '224.0.0.0/4', '240.0.0.0/4'],
  // ::/96 is unspecified, loopback and the old way to write an IPv4 address; 64:ff9b is NAT64 of 0/8, 127/8, 169.254/16.
  ['::/96', 'fe80::/10', 'fec0::/10', 'ff00::/8', '64:ff9b::/104', '64:ff9b::7f00:0/104', '64:ff9b::a9fe:0/112'],
);

/** Networks that are other machines in every place: a name may lead there (a private cluster), a literal may not. */
const privateNetworks = listOf(['10.0.0.0/8', '100.64.0.0/10', '172.16.0.0/12', '192.168.0.0/16'], ['fc00::/7']);

function listOf(ipv4: readonly string[], ipv6: readonly string[]): BlockList {
  const list = new BlockList();
  const add = (type: 'ipv4' | 'ipv6') => (subnet: string) => {
    const [network = '', prefix] = subnet.split('/');
    list.addSubnet(network, Number(prefix), type);
  };
  ipv4.forEach(add('ipv4'));
  ipv6.forEach(add('ipv6'));
  return list;
}

/** An IPv4 address that is written as IPv6 (::ffff:127.0.0.1) is found among the IPv4 ones. */
const isIn = (list: BlockList, address: string): boolean => list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

/** True for loopback, link-local, unspecified and the like, also written as IPv6; and for what is no address at all. */
export function isLocalAddress(address: string): boolean {
  return isIP(address) === 0 || isIn(here, address);
}

/** True where the host of a URL says, without a look-up, that it is this machine, this link or a private network. */
export function isInternalHost(url: URL): boolean {
  // The URL parser has turned every spelling of an IPv4 address into the plain one; IPv6 stands in brackets.
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0) return isLocalAddress(host) || isIn(privateNetworks, host);
  return /(^|\.)localhost(\.localdomain)?$/.test(host);
}
