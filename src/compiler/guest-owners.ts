/**
 * Who renders what is plugged into a host's br-int: spoofing protection, what guests get from the routers of their network, ports
 * that nobody shall use. As rows, network by network, since they are what a host has most of. Beside owners.ts, which calls these.
 */
import { prefixContains } from '../lib/addresses.ts';
import { advertisementSpoof, arpSpoof, type GuardedPort, ipSpoof, macSpoof } from '../pipeline/anti-spoof.ts';
import { deadPort } from '../pipeline/br-int.ts';
import type { DesiredFlow } from '../pipeline/origin.ts';
import * as routerIn from '../pipeline/router-in.ts';
import * as routerOut from '../pipeline/router-out.ts';
import type { Port } from '../topology/model.ts';
import { type LocalNetwork, localNetwork } from './local-network.ts';
import { flows, NO_FLOWS, NOTHING } from './placement.ts';
import { gatewaysOf, restored } from './restored.ts';
import type { PluggedPort } from './routing.ts';
import { isServiceable } from './site.ts';
import { owner, type View } from './view.ts';
import { type HostProfile, portObject, type World } from './world.ts';

export class GuestOwners {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** All that is plugged in on a host. */
  readonly guestsOnHost = owner('guests on host', (view, name) => {
    view.each(this.#world.guestNetworksOf.at(name), (network) => this.guests(name, network));
    const profile = view.read(this.#world.profiles.at(name));
    if (profile === undefined) return NOTHING;
    const place = { host: name, bridge: profile.integrationBridge };
    view.rows(this.#world.deadPortsOf.at(name), place, (ofport) =>
      flows(profile, { object: `ofport ${ofport}`, ofport: Number(ofport) }, deadPort),
    );
    return NOTHING;
  });

  /** What is plugged in of one network; of none: what nobody declared. */
  readonly guests = owner('guests', (view, name, networkId) => {
    const profile = view.read(this.#world.profiles.at(name));
    if (profile === undefined) return NOTHING;
    const there = localNetwork(this.#world, view, name, networkId);
    const { routedNetworks, centralNetworks } = this.#world.site;
    const isRouted = view.read(routedNetworks.at(name, networkId)) === true;
    const isHeard = isRouted || view.read(centralNetworks.at(name, networkId)) === true;
    const place = { host: name, bridge: profile.integrationBridge };
    view.rows(this.#world.guestsOf(name, networkId), place, (portId) => {
      const ofport = this.#world.bindings.get(name, portId)?.ofport;
      if (ofport === undefined) return NO_FLOWS;
      const port = this.#world.ports.get(portId);
      const plugged = this.#world.pluggedPorts.get(portId);
      // A router's port that somebody else plugs speaks for everyone.
      const desired = plugged === undefined ? guarded(profile, portId, port, ofport) : [];
      if (there === undefined) return desired;
      if (port !== undefined) this.#addRouted(desired, view, there, { port, ofport, isRouted, isHeard });
      if (plugged !== undefined) this.#addCentralised(desired, view, there, { portId, plugged, ofport });
      return desired;
    });
    return NOTHING;
  });

  /** What a guest's port gets from the routers of its network. */
  #addRouted(
    desired: DesiredFlow[],
    view: View,
    there: LocalNetwork,
    {
      port,
      ofport,
      isRouted,
      isHeard,
    }: { readonly port: Port; readonly ofport: number; readonly isRouted: boolean; readonly isHeard: boolean },
  ): void {
    const { host, profile, localVlan } = there;
    if (!port.adminStateUp || !isServiceable(port) || !profile.features.distributedRouting) return;
    const receiver = { object: portObject(port.id), macAddress: port.macAddress, ofport };
    const entity = { ...receiver, localVlan };
    // Also where its own network has no router: the rows that a tag would meet are those of other networks.
    desired.push(...flows(profile, entity, routerIn.guestVlan));
    if (isRouted) desired.push(...flows(profile, entity, routerOut.deliverHere));
    if (isHeard) {
      desired.push(...flows(profile, entity, routerIn.toRouter));
      desired.push(...flows(profile, watchedGuest(port, ofport), routerIn.watchedGuest));
    }
    desired.push(...restored(this.#world, view, there, receiver, gatewaysOf(this.#world, view, host, port)));
  }

  /** A centralised port (sg) that somebody else has plugged in: routed frames are for it too. */
  #addCentralised(
    desired: DesiredFlow[],
    view: View,
    there: LocalNetwork,
    { portId, plugged, ofport }: { readonly portId: string; readonly plugged: PluggedPort; readonly ofport: number },
  ): void {
    const { kind, subnetId, macAddress } = plugged;
    if (kind !== 'sg' || subnetId === undefined) return;
    const gateways = gatewaysOf(this.#world, view, there.host, { fixedIps: [{ subnetId }] });
    const receiver = { object: portObject(portId), macAddress, ofport };
    desired.push(...restored(this.#world, view, there, receiver, gateways));
  }
}

function guarded(profile: HostProfile, portId: string, port: Port | undefined, ofport: number): DesiredFlow[] {
  const object = portObject(portId);
  const desired = port?.adminStateUp === true ? [] : flows(profile, { object, ofport }, deadPort);
  if (port === undefined || !isGuarded(port)) return desired;
  desired.push(...flows(profile, guardedPort(port, ofport), macSpoof, arpSpoof, advertisementSpoof, ipSpoof));
  return desired;
}

/** DHCP and router ports speak for others; port security is not for them. */
function isGuarded(port: Port): boolean {
  return port.portSecurityEnabled && !port.deviceOwner.startsWith('network:');
}

function guardedPort(port: Port, ofport: number): GuardedPort {
  const fixed = port.fixedIps.map(({ ipAddress: address }) => ({
    macAddress: port.macAddress,
    prefix: { address, length: typeof address === 'number' ? 32 : 128 },
  }));
  const allowed = port.allowedAddressPairs.map(({ macAddress, ipAddress: prefix }) => ({ macAddress, prefix }));
  return {
    object: `port ${port.id}`,
    ofport,
    macAddresses: [...new Set([port.macAddress, ...allowed.map((pair) => pair.macAddress)])],
    pairs: [...fixed, ...allowed],
  };
}

/** Without port security a port may have any address. */
function watchedGuest(port: Port, ofport: number): routerIn.WatchedGuest {
  const watched = port.portSecurityEnabled
    ? port.allowedAddressPairs.map(({ ipAddress }) => ipAddress)
    : [
        { address: 0, length: 0 },
        { address: 0n, length: 0 },
      ];
  const own = port.fixedIps.map(({ ipAddress }) => ipAddress);
  const known = own.filter((ip) => watched.some((prefix) => prefixContains(prefix, ip)));
  return { object: `port ${port.id}`, ofport, watched, known };
}
