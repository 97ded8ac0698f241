/**
 * What Open vSwitch may complain about in the tests under test/netns/. Whatever else it logs as WARN, ERR or EMER fails the
 * test: most of heddle's mistakes show there first.
 */
import type { Host } from '../../scripts/support/lab/host.ts';

interface AllowedLine {
  readonly pattern: RegExp;
  readonly reason: string;
}

const ALLOWED: readonly AllowedLine[] = [
  {
    pattern: /\|dpif\|WARN\|failed to enumerate system datapaths/,
    reason: 'the machine may have no openvswitch kernel module, and the lab does not use it',
  },
  {
    pattern: /\|timeval\(?.*\|WARN\|/,
    reason: 'a poll that took long on a busy machine says nothing about what heddle sent',
  },
  {
    pattern: /\|rconn(\(.*\))?\|WARN\|.*connect(ion|ing).*(refused|timed out|dropped|reset)/i,
    reason: 'bridges call again while a test has stopped the controller',
  },
  {
    pattern: /\|(jsonrpc|reconnect)\|WARN\|unix#\d+: .*(Broken pipe|Connection reset)/,
    reason: 'an ovs-vsctl of the test has gone before it read everything; heddle calls over TCP',
  },
  {
    pattern: /\|conntrack(\(.*\))?\|WARN\|Unable to NAT due to tuple space exhaustion/,
    reason: 'the userspace conntrack gives pings no other identifier, and heddle does instead',
  },
  {
    pattern: /\|tunnel(\(.*\))?\|WARN\|receive tunnel port not found/,
    reason: 'packets were on their way when the last guest of a network left, and the tunnel with it',
  },
  {
    pattern: /\|fatal_signal\(?.*\|WARN\|terminating with signal 15/,
    reason: 'a test has ended the daemon',
  },
  {
    pattern: /\|bridge\|WARN\|could not open network device tap\S+ \(No such device\)/,
    reason: 'a guest was unplugged between the look at the database and the look at the link',
  },
];

/** The lines that nobody allows, each with its host. */
export function unexpectedLogLines(hosts: readonly Host[]): string[] {
  return hosts.flatMap((host) =>
    host
      .findings()
      .filter(({ line }) => !ALLOWED.some(({ pattern }) => pattern.test(line)))
      .map(({ daemon, line }) => `${host.name} ${daemon}: ${line}`),
  );
}
