"""Writes flows to a bridge by Neutron's own classes, and prints how many milliseconds that took.

    python3 neutron-peer.py OVSDB-SOCKET BRIDGE FLOWS.TXT

Flows are in ovs-ofctl's text. They go through the deferred bridge of neutron.agent.common.ovs_lib, with bundles, which is how Neutron's
agent writes many flows at once: by ovs-ofctl, some at a time. Ends with 3 where Neutron is not installed. Serves neutron-peer.ts.
"""
import sys
import time

try:
    from neutron import privileged
    from neutron.agent.common import ovs_lib
    from neutron.common import config
    from neutron.conf.agent import common as agent_config
    from neutron.conf.plugins.ml2.drivers import ovs_conf
    from oslo_config import cfg
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(3)

SOCKET, BRIDGE, FILE = sys.argv[1:]


def read(line):
    match, actions = line.rstrip('\n').split(' actions=', 1)
    flow = {'actions': actions}
    for part in match.replace(' ', '').split(','):
        key, separator, value = part.partition('=')
        # A protocol stands alone: arp, icmp6.
        flow.update({key: value} if separator else {'proto': key})
    return flow


ovs_conf.register_ovs_agent_opts(cfg.CONF)
agent_config.register_root_helper(cfg.CONF)
cfg.CONF([], project='neutron')
cfg.CONF.set_override('ovsdb_connection', f'unix:{SOCKET}', 'OVS')
# We are root: what needs that is done in this process.
privileged.default.set_client_mode(False)

bridge = ovs_lib.OVSBridge(BRIDGE)
bridge.use_at_least_protocol('OpenFlow13')
with open(FILE, encoding='utf-8') as lines:
    flows = [read(line) for line in lines]
start = time.monotonic()
with bridge.deferred(use_bundle=True) as deferred:
    for flow in flows:
        deferred.add_flow(**flow)
print(1000 * (time.monotonic() - start))
