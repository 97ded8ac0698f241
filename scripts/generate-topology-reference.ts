/**
 * Writes docs/TOPOLOGY.md, the reference of topology files, from the schema that reads them (src/topology/schema.ts).
 *
 *     node scripts/generate-topology-reference.ts
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Field, Fields, Kind } from '../src/topology/kinds.ts';
import * as schema from '../src/topology/schema.ts';

const inRepository = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));

export const REFERENCE_FILE = inRepository('docs/TOPOLOGY.md');
const EXAMPLE = 'docs/examples/dvr.yaml';

const INTRODUCTION = `# The topology file

One document, YAML or JSON, says what should exist. Wherever Neutron's API has a name for an attribute, the file uses that
name. This page is generated from the schema (\`scripts/generate-topology-reference.ts\`); \`heddle check FILE\` holds a file
against it, and against the rules below, and names every error with its line and column.

The order of lists and keys never matters. Unknown keys are errors. A key whose value is \`null\` is absent, except where
\`null\` is said to mean something. Text that looks like a number (an id \`1001\`) stands in quotes.
`;

const DERIVED = `## What is derived

A MAC or an address that the file leaves out is derived from the name of what it is for (a port's id; a router's id and the
subnet), so that it is the same every time and nothing else in the file has a say in it:

- What the file gives is taken first, and the \`gateway_ip\` of a subnet is kept free.
- Every name has a place of its own: a hash of it, among the MACs under \`fa:16:3e\` or among the addresses of the subnet's
  \`allocation_pools\`. Adding, removing or moving other ports does not change it.
- Two names that want the same place cannot both have it: the one that sorts first has it, the other goes on to its next
  place. With twenty derived addresses in a /24 that is about as likely as not, so then a further port may move another.
  \`loadTopology\` can be told what was derived before (\`held\`) and keeps it; a file can rule it out by giving addresses.
- On an IPv6 subnet where guests make their own addresses (\`ipv6_address_mode\`, or without it \`ipv6_ra_mode\`, is \`slaac\` or
  \`dhcpv6-stateless\`) a port has the address that its MAC gives.
- A port without \`fixed_ips\` has one address of each family that its network has. Where that leaves a choice of subnets, the
  file must say which.
- \`dvr_mac\` of hosts is allocated by the controller, once, and kept for ever.
`;

const RULES = `## Rules

Besides what the tables say:

- An id is used once among its kind: subnets among those of all networks, \`port_id\` of routers among ports. A MAC is used
  once; only the interfaces of one router on one network may share theirs. An address is used once on its network.
- An address is inside its subnet, and neither its network nor its broadcast address (subnets of one or two addresses have
  none; routers may have the network address of an IPv6 subnet, which is the routers' anycast address).
- Subnets of one network do not overlap, nor do the subnets of one router, its gateway's included.
- A segmentation id is used once in its space: that of a tunnel type, or of a physical network. A physical network carries
  one flat network.
- A host with a port on a tunnelled network has a \`local_ip\`; all of them are of one family. A host with a port on a
  \`vlan\` or \`flat\` network has its \`physical_network\` in \`bridge_mappings\`. Each bridge of a host has one task.
- Gateways and floating IPs are on networks with \`external: true\`. A floating IP is in a subnet of its network, and a router
  connects the subnet of its port with that network. One address of a port has one floating IP of a network.
- The next hop of a router's route is a neighbour: in a subnet that it connects, and not one of its own addresses.
- \`snat_ports\` are for distributed routers, on subnets that an interface connects.
- A rule of a security group has both ends of a port range or none, a \`remote_ip_prefix\` or a \`remote_group\`. A port with
  security groups has port security.
`;

/** In the order of the page: title, mapping. */
const SECTIONS: readonly (readonly [string, Kind<unknown> & { readonly fields: Fields }])[] = [
  ['The document', schema.topology],
  ['settings', schema.settings],
  ['settings.bfd', schema.bfd],
  ['hosts[]', schema.host],
  ['hosts[].bridges', schema.bridges],
  ['networks[]', schema.network],
  ['networks[].subnets[]', schema.subnet],
  ['networks[].subnets[].allocation_pools[]', schema.allocationPool],
  ['networks[].subnets[].host_routes[], routers[].routes[]', schema.route],
  ['ports[]', schema.port],
  ['ports[].fixed_ips[], routers[].external_gateway_info.external_fixed_ips[]', schema.fixedIp],
  ['ports[].allowed_address_pairs[]', schema.addressPair],
  ['routers[]', schema.router],
  ['routers[].interfaces[]', schema.routerInterface],
  ['routers[].external_gateway_info', schema.gateway],
  ['routers[].snat_ports[]', schema.snatPort],
  ['floating_ips[]', schema.floatingIp],
  ['security_groups[]', schema.securityGroup],
  ['security_groups[].rules[]', schema.securityGroupRule],
];

/** The whole page. */
export function topologyReference(): string {
  return [
    INTRODUCTION,
    `## An example\n\n\`\`\`yaml\n${readFileSync(inRepository(EXAMPLE), 'utf8').trimEnd()}\n\`\`\`\n`,
    DERIVED,
    RULES,
    '## Keys\n',
    ...SECTIONS.map(([title, { fields }]) => sectionOf(title, fields)),
  ].join('\n');
}

function sectionOf(title: string, fields: Fields): string {
  const rows = Object.entries(fields).map(([key, field]) => rowOf(key, field));
  const heading = title.includes(' ') && !title.includes('[') ? title : code(title);
  return `### ${heading}\n\n| key | value | default | meaning |\n|---|---|---|---|\n${rows.join('\n')}\n`;
}

function rowOf(key: string, field: Field<unknown>): string {
  const absent = field.isRequired ? '**required**' : (field.defaultText ?? 'none');
  return `| \`${key}\` | ${[field.kind.says, absent, field.says].map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

/** Each of the paths as code. */
function code(title: string): string {
  return title
    .split(', ')
    .map((path) => `\`${path}\``)
    .join(', ');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(REFERENCE_FILE, topologyReference());
