/**
 * What tests of traffic say about two guests: that they reach each other, that nothing comes through. A claim of silence
 * always comes with a frame that was expected and came, sent after the others over the same way.
 */
import { eventually } from '../../scripts/support/lab/command.ts';
import { udpFrame } from '../../scripts/support/lab/frames.ts';
import { GUEST_LINK, type Guest } from '../../scripts/support/lab/guest.ts';
import type { Lab } from '../../scripts/support/lab/lab.ts';
import type { Namespace } from '../../scripts/support/lab/namespace.ts';
import { sendFrames } from '../../scripts/support/lab/traffic.ts';

/** Wait until an address answers; `converged` says what the switches hold, and a guest's own stack takes a moment more. */
export async function untilAnswered(guest: Guest, address: string): Promise<void> {
  await eventually(`${guest.name} reaches ${address}`, async () => {
    const { received } = await guest.ping(address, { count: 1, waitMs: 500 });
    return received === 1;
  });
}

/** The mark that frames of a test carry, for filters and for eyes. */
export const TEST_PORT = 7777;

/** A UDP frame from one guest to another as an honest stack would send it. */
export function honestFrame(from: Guest, to: Guest, payload = 'honest'): Buffer {
  const addresses = { source: from.mac, destination: to.mac, sourceIp: from.ip, destinationIp: to.ip };
  return udpFrame({ ...addresses, destinationPort: TEST_PORT, payload });
}

export interface SendAndSeeOptions {
  readonly lab: Lab;
  /** Who sends, on which link. */
  readonly from: Namespace;
  readonly link?: string;
  readonly frames: readonly Buffer[];
  /** Sent last, by whom it may; its arrival ends the wait. A UDP frame to TEST_PORT. */
  readonly control: { readonly from: Guest; readonly frame: Buffer };
  readonly at: Guest;
  /** What to look for besides the control; without it every frame coming in. */
  readonly filter?: string;
}

/** Send frames, then the control; give what came in at the guest, the control apart. */
export async function sendAndSee(options: SendAndSeeOptions): Promise<string[]> {
  const { lab, at, control } = options;
  const mark = `udp port ${TEST_PORT}`;
  const capture = await lab.capture({
    namespace: at.namespace,
    link: GUEST_LINK,
    direction: 'in',
    ...(options.filter ? { filter: `(${options.filter}) or ${mark}` } : {}),
  });
  await sendFrames(options.from, options.link ?? GUEST_LINK, options.frames);
  // Its length tells the control from the rest: 60 bytes are the least that a frame has, and what the others have here.
  const isControl = (frame: string): boolean =>
    frame.includes(`length ${control.frame.length}`) && frame.includes(`.${TEST_PORT}:`);
  await eventually(`the control frame reaches ${at.name}`, async () => {
    await control.from.sendFrames([control.frame]);
    return capture.frames.some(isControl);
  });
  return (await capture.stop()).filter((frame) => !isControl(frame));
}

/** A control frame: as long as no other frame of a test is. */
export function controlFrame(from: Guest, to: Guest): Buffer {
  return honestFrame(from, to, 'c'.repeat(333));
}
