/**
 * From an open socket to an established SwitchConnection: what listener.ts and dialer.ts have in common.
 */
import type { Socket } from 'node:net';
import type { LimitedLog, Logger } from '../lib/log.ts';
import { type ChannelEnd, type ChannelListener, ChannelSocket } from './channel-socket.ts';
import { SwitchConnection } from './connection.ts';

/** What every listener and dialer of a process shares. */
export interface ChannelContext {
  readonly logger: Logger;
  /** For lines that a peer can cause. */
  readonly limitedLog: LimitedLog;
  /** A number that no connection of this process had before. */
  readonly nextEpoch: () => number;
  /** A monotonic clock; default performance.now. */
  readonly nowMs?: () => number;
  /** An established connection: subscribe to it before returning. */
  readonly onConnection: (connection: SwitchConnection) => void;
}

export interface EstablishOptions {
  readonly socket: Socket;
  /** For people: where the other side is. */
  readonly peer: string;
  /** Key of the rate limit of lines about this peer: its address without its port. */
  readonly peerKey: string;
  readonly context: ChannelContext;
  /** The handshake went through. */
  readonly onEstablished?: () => void;
  /** Comes once, whether or not the handshake had gone through. */
  readonly onEnd?: (end: ChannelEnd) => void;
}

/** Speak OpenFlow on an open socket. Gives a function that ends it. */
export function establish(options: EstablishOptions): ChannelSocket {
  const { context, peer, peerKey, socket } = options;
  const nowMs = context.nowMs ?? (() => performance.now());
  let connection: SwitchConnection | undefined;
  const listener: ChannelListener = {
    established: (features, ports) => {
      connection = new SwitchConnection({ channel, epoch: context.nextEpoch(), peer, features, ports, nowMs });
      context.logger.debug({ peer, dpid: features.dpid, epoch: connection.epoch }, 'bridge connected');
      options.onEstablished?.();
      context.onConnection(connection);
    },
    message: (message) => connection?.receive(message),
    frame: (frame) => connection?.receiveFrame(frame) ?? false,
    unreadable: (xid, reason) => connection?.receiveUnreadable(xid, reason),
    note: (reason) => context.limitedLog.warn(`note ${peerKey}`, { peer, reason }, 'odd message from a bridge'),
    deadlineMs: () => connection?.requestDeadlineMs,
    expired: () => connection?.requestExpired(),
    closed: (end) => {
      tellEnd(options, end, connection?.dpid);
      connection?.receiveEnd(end);
      options.onEnd?.(end);
    },
  };
  const channel = new ChannelSocket({ socket, listener, nowMs });
  channel.open();
  return channel;
}

/** One line for each end: a bad peer's is rate-limited, a bridge's own going is news of another kind. */
function tellEnd(options: EstablishOptions, end: ChannelEnd, dpid: bigint | undefined): void {
  const { context, peer, peerKey } = options;
  const line = { peer, code: end.code, reason: end.reason };
  if (!end.established) {
    context.limitedLog.warn(`refused ${end.code} ${peerKey}`, line, 'OpenFlow peer dropped during the handshake');
  } else if (end.code === 'CLOSED') {
    // Our own doing, which its doer tells of: at the end of a large site this would be thousands of lines.
    context.logger.debug({ ...line, dpid }, 'bridge disconnected');
  } else if (end.code === 'ENDED' || end.code === 'REPLACED') {
    context.logger.info({ ...line, dpid }, 'bridge disconnected');
  } else {
    context.limitedLog.warn(`dropped ${end.code} ${peerKey}`, { ...line, dpid }, 'bridge dropped');
  }
}
