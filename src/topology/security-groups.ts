/** Security groups: what must hold between the keys of a rule, and what they become. Serves load.ts. */
import { prefixToText } from '../lib/addresses.ts';
import type { SecurityGroup, SecurityGroupRule } from './model.ts';
import { compareText, ipVersionOf } from './ranges.ts';
import type { SecurityGroupDraft, SecurityGroupRuleDraft } from './schema.ts';
import { entriesOf, type Item, itemsOf, originOf, present, registerList, type Site } from './site.ts';
import type { Path } from './source.ts';

/** IANA protocol numbers whose headers begin with a source and a destination port. */
const PORT_PROTOCOLS: ReadonlySet<number> = new Set([6, 17, 33, 132, 136]);
const ICMP = 1;
const ICMPV6 = 58;

/** Register every group. Before the ports, which refer to them. */
export function registerSecurityGroups(site: Site): void {
  registerList(site, site.securityGroups, { key: 'security_groups', items: site.draft.security_groups, idKey: 'id' });
}

/** Check the rules, which refer to groups. */
export function checkSecurityGroups(site: Site): void {
  for (const { draft, path } of site.securityGroups.items) {
    for (const [index, rule] of entriesOf(draft.rules)) checkRule(site, rule, [...path, 'rules', index]);
  }
}

function checkRule(site: Site, rule: SecurityGroupRuleDraft, path: Path): void {
  const { ethertype, remote_ip_prefix: prefix, remote_group: group } = rule;
  if (group !== undefined) {
    site.securityGroups.find(group, [...path, 'remote_group']);
    if (prefix !== undefined) {
      site.report.wrong(path, 'remote_ip_prefix and remote_group exclude each other; give one, or make two rules');
    }
  }
  if (prefix !== undefined && ethertype !== undefined && `IPv${ipVersionOf(prefix.address)}` !== ethertype) {
    const message = `${prefixToText(prefix)} is not ${ethertype}; give a prefix of the rule's ethertype`;
    site.report.wrong([...path, 'remote_ip_prefix'], message);
  }
  if (rule.protocol === ICMPV6 && ethertype === 'IPv4') {
    site.report.wrong([...path, 'protocol'], 'icmpv6 does not go over IPv4; give icmp, or ethertype: IPv6');
  }
  checkRange(site, rule, path);
}

function checkRange(site: Site, rule: SecurityGroupRuleDraft, path: Path): void {
  const { protocol, port_range_min: min, port_range_max: max } = rule;
  const minPath = [...path, 'port_range_min'];
  const maxPath = [...path, 'port_range_max'];
  if (min === undefined && max === undefined) return;
  const isIcmp = protocol === ICMP || protocol === ICMPV6;
  if (protocol === undefined || (!isIcmp && !PORT_PROTOCOLS.has(protocol))) {
    if (site.report.isDoubtful([...path, 'protocol'])) return;
    const message = `${protocol === undefined ? 'a rule for any protocol' : `protocol ${protocol}`} has no ports; give protocol tcp or udp, or leave the range out`;
    site.report.wrong(min === undefined ? maxPath : minPath, message);
  } else if (isIcmp) {
    if (min === undefined) site.report.wrong(minPath, 'missing: a code without a type; give the ICMP type');
    else if (min > 255) site.report.wrong(minPath, `${min} is not an ICMP type; give one from 0 to 255`);
    if (max !== undefined && max > 255)
      site.report.wrong(maxPath, `${max} is not an ICMP code; give one from 0 to 255`);
  } else if (min === undefined || max === undefined) {
    const [missing, other] = min === undefined ? [minPath, 'port_range_max'] : [maxPath, 'port_range_min'];
    site.report.wrong(missing, `missing: ${other} is there; give both ends of the range`);
  } else if (min === 0) site.report.wrong(minPath, '0 is not a port; give one from 1 to 65535');
  else if (min > max) site.report.wrong(minPath, `the range from ${min} to ${max} is empty; swap the two`);
}

export function buildSecurityGroup(site: Site, { draft, path, label }: Item<SecurityGroupDraft>): SecurityGroup {
  const rules = itemsOf(draft.rules).map(buildRule);
  return {
    id: label,
    rules: rules.sort((left, right) => compareText(ruleKey(left), ruleKey(right))),
    origin: originOf(site, path),
  };
}

function buildRule(draft: SecurityGroupRuleDraft): SecurityGroupRule {
  const { protocol, port_range_min: portRangeMin, port_range_max: portRangeMax } = draft;
  const { remote_ip_prefix: remoteIpPrefix, remote_group: remoteGroup } = draft;
  const ethertype = present(draft.ethertype, 'ethertype');
  return {
    direction: present(draft.direction, 'direction'),
    ethertype,
    // As Neutron does: icmp of an IPv6 rule is ICMPv6.
    ...(protocol !== undefined && { protocol: ethertype === 'IPv6' && protocol === ICMP ? ICMPV6 : protocol }),
    ...(portRangeMin !== undefined && { portRangeMin }),
    ...(portRangeMax !== undefined && { portRangeMax }),
    ...(remoteIpPrefix !== undefined && { remoteIpPrefix }),
    ...(remoteGroup !== undefined && { remoteGroup }),
  };
}

function ruleKey(rule: SecurityGroupRule): string {
  const { direction, ethertype, protocol, portRangeMin, portRangeMax, remoteIpPrefix, remoteGroup } = rule;
  const remote = remoteIpPrefix === undefined ? '' : prefixToText(remoteIpPrefix);
  return JSON.stringify([direction, ethertype, protocol, portRangeMin, portRangeMax, remote, remoteGroup]);
}
