/**
 * What a row of the message table is. Serves message-codec.ts, experimenter-codec.ts and the table that joins them, codec.ts.
 */
import type { Cursor } from './cursor.ts';
import type { Message, MessageOf, MessageType } from './messages.ts';
import type { Slab } from './slab.ts';

export interface MessageHeader {
  readonly version: number;
  readonly xid: number;
}

export interface MessageRow<Type extends MessageType> {
  /** OFPT_* */
  readonly code: number;
  /** Of experimenter messages that we know: the experimenter's id and type. */
  readonly experimenter?: readonly [id: number, type: number];
  /** Write what follows the header (and the experimenter's ids). */
  write(slab: Slab, message: MessageOf<Type>): void;
  /** Read what follows the header (and the ids). Whoever calls checks that all was read. */
  read(cursor: Cursor, header: MessageHeader): Message;
}

export type MessageRows = { readonly [Type in MessageType]: MessageRow<Type> };
