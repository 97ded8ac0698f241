/**
 * What a running controller counts, as Prometheus reads it (`heddle run --metrics ADDR:PORT`). Everything but the histograms is
 * read from the controller's own state at the moment of a scrape: nothing is counted twice. An edge: HTTP is here.
 */
import { createServer, type Server } from 'node:http';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { type Endpoint, parseEndpoint } from '../lib/endpoint.ts';
import { HeddleError } from '../lib/errors.ts';
import { LIMITS } from '../lib/limits.ts';
import type { BridgeStatus } from '../switch/status.ts';
import type { Controller } from './controller.ts';
import type { HostAgent } from './host-agent.ts';

const BRIDGE = ['host', 'bridge'] as const;
const SECONDS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];

/** Of one bridge: name, help, and the value; totals only ever grow while the process lives. */
const BRIDGE_GAUGES: readonly [string, string, (status: BridgeStatus) => number][] = [
  ['heddle_openflow_connected', '1 while the bridge is connected.', ({ connected }) => (connected ? 1 : 0)],
  [
    'heddle_openflow_follows',
    '1 while another controller programs the bridge (--elect).',
    ({ follows }) => (follows ? 1 : 0),
  ],
  ['heddle_generation_wanted', 'The latest generation of the book.', ({ generationWanted }) => generationWanted],
  [
    'heddle_generation_confirmed',
    'The one that the switch is known to hold.',
    ({ generationConfirmed }) => generationConfirmed,
  ],
  ['heddle_flows_desired', 'Flows that the bridge should have.', ({ desiredFlowCount }) => desiredFlowCount],
  [
    'heddle_flows_learned',
    'Flows that learn() had made at the last comparison.',
    ({ learnedFlowCount }) => learnedFlowCount,
  ],
  ['heddle_flows_refused', 'Flows that the switch does not take.', ({ refusedFlowCount }) => refusedFlowCount],
  [
    'heddle_drift_left',
    'With `drift: report`: flows, groups and meters that are other than they should be.',
    ({ leftDriftCount }) => leftDriftCount,
  ],
];

const BRIDGE_TOTALS: readonly [string, string, (status: BridgeStatus) => number][] = [
  [
    'heddle_openflow_connections_total',
    'Connections that the bridge has made.',
    ({ connectionCount }) => connectionCount,
  ],
  ['heddle_bridge_passes_total', 'Passes that the bridge has confirmed.', ({ passCount }) => passCount],
];

/** Likewise, with a value for each of a label's. */
const BRIDGE_LABELLED: readonly [
  string,
  string,
  string,
  (status: BridgeStatus) => Iterable<readonly [string, number]>,
][] = [
  ['heddle_flow_mods_total', 'Flow-mods sent.', 'kind', ({ flowMods }) => Object.entries(flowMods)],
  ['heddle_group_mods_total', 'Group-mods sent.', 'kind', ({ groupMods }) => Object.entries(groupMods)],
  ['heddle_meter_mods_total', 'Meter-mods sent.', 'kind', ({ meterMods }) => Object.entries(meterMods)],
  [
    'heddle_bridge_packet_ins_total',
    'Packets that the bridge sent: read (taken), and past what it may send in a second (dropped).',
    'kind',
    ({ packetIns }) => Object.entries(packetIns),
  ],
  [
    'heddle_openflow_errors_total',
    'OFPT_ERRORs, and flows that no message can carry.',
    'code',
    ({ errorCounts }) => Object.entries(errorCounts),
  ],
  ['heddle_drift_total', 'Flows found other than heddle had left them.', 'kind', ({ drift }) => Object.entries(drift)],
];

const HOST_TOTALS: readonly [string, string, (agent: HostAgent) => number][] = [
  [
    'heddle_ovsdb_sessions_total',
    'Sessions with the OVSDB: one, and one for each reconnect.',
    ({ counts }) => counts.sessions,
  ],
  ['heddle_ovsdb_transactions_total', 'Transactions sent to the OVSDB.', ({ counts }) => counts.transactions],
  ['heddle_ovsdb_writes_total', 'Rows and keys written to the OVSDB.', ({ counts }) => counts.writes],
  [
    'heddle_ovsdb_write_failures_total',
    'Transactions that the OVSDB refused or lost.',
    ({ counts }) => counts.failures,
  ],
];

const HOST_GAUGES: readonly [string, string, (agent: HostAgent) => number][] = [
  ['heddle_ovsdb_connected', '1 while the replica follows the OVSDB.', (agent) => (agent.isLive ? 1 : 0)],
  ['heddle_ovsdb_replica_rows', 'Rows held of the OVSDB.', (agent) => agent.replicaSize],
];

/** The registry of one controller. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #passSeconds: Histogram;
  readonly #bridgePassSeconds: Histogram<'kind'>;

  constructor(controller: Controller) {
    const registers = [this.#registry];
    // Memory, CPU, and the event loop's delay among them.
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: LIMITS.eventLoopResolutionMs });
    this.#passSeconds = new Histogram({
      name: 'heddle_pass_seconds',
      help: 'Time from a pass of the controller beginning to its changes being handed to the bridges.',
      buckets: SECONDS,
      registers,
    });
    this.#bridgePassSeconds = new Histogram({
      name: 'heddle_bridge_pass_seconds',
      help: 'Time from a pass on one bridge beginning to its last barrier.',
      labelNames: ['kind'],
      buckets: SECONDS,
      registers,
    });
    this.#addBridges(controller);
    this.#addHosts(controller);
    this.#addController(controller);
    controller.observer = {
      pass: ({ ms }) => this.#passSeconds.observe(ms / 1000),
      bridgePass: ({ lastPassMs, lastPassKind }) => {
        if (lastPassMs !== undefined)
          this.#bridgePassSeconds.observe({ kind: lastPassKind ?? 'change' }, lastPassMs / 1000);
      },
    };
  }

  /** The text of a scrape. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  #addBridges({ agents }: Controller): void {
    const statuses = (): BridgeStatus[] =>
      [...agents.values()].flatMap(({ installers }) => [...installers.values()].map((installer) => installer.status()));
    for (const [name, help, read] of BRIDGE_GAUGES) {
      this.#gauge(name, help, BRIDGE, () => statuses().map((status) => [labelsOf(status), read(status)]));
    }
    for (const [name, help, read] of BRIDGE_TOTALS) {
      this.#total(name, help, BRIDGE, () => statuses().map((status) => [labelsOf(status), read(status)]));
    }
    for (const [name, help, label, read] of BRIDGE_LABELLED) {
      this.#total(name, help, [...BRIDGE, label], () =>
        statuses().flatMap((status) =>
          [...read(status)].map(([kind, count]) => [{ ...labelsOf(status), [label]: kind }, count] as const),
        ),
      );
    }
  }

  #addHosts({ agents }: Controller): void {
    for (const [name, help, read] of HOST_GAUGES) {
      this.#gauge(name, help, ['host'], () => [...agents.values()].map((agent) => [{ host: agent.name }, read(agent)]));
    }
    for (const [name, help, read] of HOST_TOTALS) {
      this.#total(name, help, ['host'], () => [...agents.values()].map((agent) => [{ host: agent.name }, read(agent)]));
    }
  }

  #addController(controller: Controller): void {
    this.#gauge('heddle_generation', 'Changes of what should be, since the start.', [], () => [
      [{}, controller.generation],
    ]);
    this.#gauge('heddle_conflicts', 'Flows that lost against others of the same match.', [], () => [
      [{}, controller.conflictCount],
    ]);
    this.#gauge('heddle_state_unwritten', '1 while the state file cannot be written.', [], () => [
      [{}, controller.stateFailure === undefined ? 0 : 1],
    ]);
    this.#gauge('heddle_strangers', 'Connected bridges that belong to no host.', [], () => [
      [{}, controller.strangers.length],
    ]);
    this.#total('heddle_handshakes_evicted_total', 'Connections that gave way to others before they spoke.', [], () => [
      [{}, controller.evictedHandshakeCount],
    ]);
    this.#total('heddle_dumps_delayed_total', 'Dumps of large bridges that waited for those of others.', [], () => [
      [{}, controller.delayedDumpCount],
    ]);
    this.#total('heddle_log_lines_suppressed_total', 'Log lines held back by the rate limit.', [], () => [
      [{}, controller.suppressedLineCount],
    ]);
    this.#total('heddle_packet_ins_total', 'Packets that switches sent, by why.', ['reason'], () =>
      [...controller.packetCounts.packetIns].map(([reason, count]) => [{ reason }, count]),
    );
    this.#total('heddle_packet_ins_dropped_total', 'Packets of switches left unanswered, by why.', ['reason'], () =>
      [...controller.packetCounts.refusals].map(([reason, count]) => [{ reason }, count]),
    );
  }

  #gauge(name: string, help: string, labelNames: readonly string[], read: () => readonly Sample[]): void {
    new Gauge({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.#registry],
      collect() {
        // What is gone shows no more.
        this.reset();
        for (const [labels, value] of read()) this.set(labels, value);
      },
    });
  }

  /** A counter that somebody else keeps. */
  #total(name: string, help: string, labelNames: readonly string[], read: () => readonly Sample[]): void {
    new Counter({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [labels, value] of read()) this.inc(labels, value);
      },
    });
  }
}

type Sample = readonly [Readonly<Record<string, string>>, number];

const labelsOf = ({ host, bridge }: BridgeStatus): { host: string; bridge: string } => ({ host, bridge });

/** Serves `GET /metrics` at `ADDR:PORT`. */
export class MetricsServer {
  readonly #server: Server;

  private constructor(metrics: Metrics) {
    this.#server = createServer((request, response) => {
      if (request.method !== 'GET' || request.url?.split('?')[0] !== '/metrics') {
        response.writeHead(404, { 'content-type': 'text/plain' }).end('GET /metrics\n');
        return;
      }
      void metrics.text().then((text) => response.writeHead(200, { 'content-type': metrics.contentType }).end(text));
    });
    this.#server.maxConnections = LIMITS.metricsConnections;
    this.#server.requestTimeout = LIMITS.metricsTimeoutMs;
    this.#server.headersTimeout = LIMITS.metricsTimeoutMs;
  }

  /** Throws BAD_ENDPOINT, LISTEN_FAILED. */
  static async listen(address: string, metrics: Metrics): Promise<MetricsServer> {
    const endpoint = parseEndpoint(`tcp:${address}`);
    const server = new MetricsServer(metrics);
    await server.#listen(endpoint, address);
    return server;
  }

  /** With the real port. */
  get port(): number {
    const address = this.#server.address();
    return address === null || typeof address === 'string' ? 0 : address.port;
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #listen(endpoint: Endpoint, address: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error) => {
        const message = `metrics at ${address}: ${error.message}; give --metrics another ADDR:PORT`;
        reject(new HeddleError('LISTEN_FAILED', message, {}, { cause: error }));
      });
      if (endpoint.kind !== 'unix') this.#server.listen({ host: endpoint.host, port: endpoint.port }, resolve);
    });
  }
}
