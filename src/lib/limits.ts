/**
 * Every bound of heddle, named, with its unit and its reason. Whatever can grow has a row here; when one bites, the place
 * that applies it counts it. Durations are milliseconds, sizes are bytes, lengths and counts are items.
 */
export const LIMITS = {
  /** An OpenFlow message is at most what its 16-bit length field can say (OpenFlow 1.3.5 §7.1). */
  openflowMessageSize: 65_535,
  /** Actions within actions (clone, ct) that we read: more would only serve to exhaust the stack. */
  actionDepth: 32,
  /** Time for a peer to say HELLO and answer FEATURES_REQUEST before it is dropped. */
  handshakeTimeoutMs: 5_000,
  /** Connections that have not finished their handshake, on one listener; for a further one the oldest is closed. */
  handshakesAtOnce: 1_000,
  /** Ports of one bridge: Open vSwitch gives out 16 bits of port numbers. */
  portsPerBridge: 65_536,
  /** Asynchronous messages kept while a handshake is under way. */
  earlyMessages: 1_000,
  /** Messages of an established peer that are well framed and cannot be read, before it is dropped. */
  unreadableMessages: 100,
  /** Time that a dropped peer gets to take what is already queued (an OFPT_ERROR) before its socket is destroyed. */
  lingerMs: 500,
  /** Silence after which we send ECHO_REQUEST, and after as much again drop the peer. */
  echoIntervalMs: 5_000,
  /** Answers a request may wait for; then the connection is given up. */
  requestTimeoutMs: 10_000,
  /** Packets that one bridge may send us in a second, whatever flows it has: some four times what the meters let pass. */
  packetInsPerS: 5_000,
  /** Of two controllers of one bridge, the one that follows takes over when the other has not been heard of for so long. */
  leaseMs: 6_000,
  /** Bytes of one reply in several parts: a dump of a million flows is some 200 MB. */
  replySize: 512 * 1024 * 1024,
  /** Flows asked of a switch at once: its answer keeps the userspace datapath for some 5 µs a flow, and packets wait. */
  dumpSliceLength: 5_000,
  /** And the rest between two: dumps of 100,000 flows cost 100 to 500 of 1,000 packets a second without, mostly none with it. */
  dumpPauseMs: 5,
  /** Flows of large dumps that are in memory at once, of all bridges: some 200 MB. Small bridges do not count, and do not wait. */
  dumpedFlows: 1_000_000,
  /** Flow-mods in one ONF bundle. 100,000 in one stall the userspace datapath for 80 to 113 ms, 10,000 for at most 13 ms. */
  bundleLength: 4_000,
  /** Bundles sent to one bridge and not yet confirmed. */
  bundlesInFlight: 2,
  /** A bundle is tried so often, each time without the messages that the switch refused; then its messages go one by one. */
  bundleAttempts: 8,
  /** Further connections of one bridge that stand by: a bridge is reached in two ways at most, and may come back quickly. */
  standbyConnections: 3,
  /** Comparisons and large changes of all bridges together hand the event loop back then: echo replies wait no longer. */
  turnMs: 4,
  /** Likewise of work that nobody waits for, such as making the state file. */
  backgroundTurnMs: 1,
  /** Likewise a pass of the whole site, and the taking in of a topology: what is shorter is done in one turn. */
  passTurnMs: 8,
  /**
   * Changes by others that are kept until they are looked at; with more, the whole bridge is compared instead, or filled from its book
   * where nothing is left: 50,000 flows that somebody deleted are back after 0.6 s to 1.1 s instead of 1.8 s.
   */
  driftedFlows: 10_000,
  /** So many flows gone at a time, and the switch is asked whether any is left: one answer of 6 KB, against some 10 µs for each. */
  wipedFlows: 200,
  /** With `drift: report`: differences of one bridge that are remembered as told, some 200 bytes each. More are told again. */
  leftDrift: 50_000,
  /** So many repairs of a bridge in one interval, then none until it is over: somebody undoes them. */
  driftRepairBurst: 100,
  driftRepairIntervalMs: 10_000,
  /** A bridge is compared with its book so often where the switch does not tell of changes. */
  auditIntervalMs: 30_000,
  /** And where it does: what remains are groups, meters and flags, of which it does not tell. */
  watchedAuditIntervalMs: 300_000,
  /** Longest wait before flows that a switch refused are tried again. */
  refusedRetryMaxMs: 60_000,
  /** Refused flows, drifted flows and unknown bridges that a status or a log names; all are counted. */
  namedFlows: 20,
  /** Shapes of entities for which a rule's rows are kept as templates; those of further shapes are kept as values. */
  shapesPerRule: 256,
  /** Bytes queued towards one peer that stopped reading before it is dropped. */
  sendBufferSize: 64 * 1024 * 1024,
  /**
   * One JSON-RPC message from an ovsdb-server. A first dump is one message: what heddle reads of a port is some 700 bytes, and Open
   * vSwitch has numbers for 65,279 ports of a bridge.
   */
  ovsdbMessageSize: 64 * 1024 * 1024,
  /** Reconnect back-off: the first and the longest wait. */
  backoffMinMs: 1_000,
  backoffMaxMs: 8_000,
  /** Silence after which an OVSDB session probes its peer, and after as much again reconnects. */
  ovsdbProbeIntervalMs: 5_000,
  /** OVSDB requests without a reply before a session is given up. */
  ovsdbRequestTimeoutMs: 30_000,
  /** Brackets open at once in a message of an ovsdb-server: RFC 7047 needs eleven. */
  ovsdbNestingDepth: 64,
  /** Transactions sent to one ovsdb-server and not yet answered. */
  ovsdbRequestsInFlight: 1_000,
  /** Updates kept while the reply to a monitor request is awaited. */
  ovsdbQueuedUpdates: 10_000,
  /** Clients of the control socket at once, the length of one request of theirs, and how long a client waits. */
  controlConnections: 32,
  controlRequestLength: 1_000_000,
  controlTimeoutMs: 10_000,
  /** Scrapers at once, how long one may take to ask, and how finely the event loop's delay is measured for them. */
  metricsConnections: 16,
  metricsTimeoutMs: 5_000,
  eventLoopResolutionMs: 10,
  /** How long `heddle doctor` waits for one host's OVSDB. */
  doctorTimeoutMs: 5_000,
  /** How often `heddle diff --watch` looks. */
  diffIntervalMs: 1_000,
  /** Changes of the topology file are taken together when they come within this time: editors write in several steps. */
  reloadSettleMs: 100,
  /** A file up to this size is read in one turn: YAML takes some 1 ms for 1 KiB, JSON a quarter of it. Others have a thread. */
  topologyInlineSize: 16 * 1024,
  /** Objects of a topology that come from the thread at once: some 2 µs each to copy. */
  topologyPartLength: 256,
  /** The state file is written at most this often. */
  stateWriteIntervalMs: 1_000,
  /** Derived MACs, and derived addresses, that are remembered: those in use, and of those that left the file the latest. */
  heldValues: 200_000,
  /** Ports whose last place is remembered: twice those of a large site, since one that leaves the file may come back. */
  portPlaces: 200_000,
  /** Established connections whose datapath id no OVSDB has told of yet: more than the bridges of a large site. */
  unclaimedConnections: 4_096,
  /** At start, hosts that do not answer are waited for this long before the others' flows are computed without them. */
  startupGraceMs: 5_000,
  /** Lines of one kind that a peer can cause, in one interval; the rest is counted. */
  logBurst: 5,
  logIntervalMs: 10_000,
  /** Kinds of such lines remembered at once. */
  logKeyCount: 10_000,
  /** An Ethernet frame with the longest IP packet, two VLAN tags and what IPv6 does not count into its length. */
  packetSize: 65_535 + 14 + 8 + 40,
  /** VLAN tags, and IPv6 extension headers, that one packet is read through. */
  packetVlans: 2,
  packetExtensions: 8,
  /** Addresses that routers ask for, have found, or have not found; of one network, so that one guest cannot take all. */
  resolvedAddresses: 8_192,
  resolvedAddressesPerNetwork: 512,
  /** Pings through gateways whose identifiers are translated by hand, at once. */
  translatedEchoes: 1_024,
  /** Routers that one gateway host announces without the controller: Open vSwitch looks up at most 4,096 flows for a packet. */
  announcedRouters: 256,
  /** Floating IPs that left a host while it was away: with more, connections in the whole of their zones end when it is back. */
  owedFlushesPerHost: 256,
  /** Packets that wait for an address: for one, for one network, in all, and their bytes. */
  heldPacketsPerAddress: 16,
  heldPacketsPerNetwork: 512,
  heldPackets: 4_096,
  heldPacketsSize: 8 * 1024 * 1024,
  /** Packets to routers' own addresses of which some fragments are there: of one guest, in all, their bytes, and for how long. */
  reassembledPacketsPerPort: 4,
  reassembledPackets: 256,
  reassembledSize: 4 * 1024 * 1024,
  reassemblyTimeoutMs: 5_000,
} as const;
