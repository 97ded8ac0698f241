/**
 * What a meter is (OpenFlow 1.3.5 §5.7): plain readonly data that renders make, the book keeps and openflow/ encodes.
 */

/** OFPMF_* (OpenFlow 1.3.5 §7.3.4.4) */
export const METER_FLAGS = { kbps: 1, pktps: 2, burst: 4, stats: 8 } as const;

/** The meter through which packets to the controller pass (OFPM_CONTROLLER), where no other is named. */
export const METER_CONTROLLER = 0xfffffffd;

/** A meter band; rates in kbit/s or packets/s as the meter's flags say. */
export type MeterBand =
  | { readonly type: 'drop'; readonly rate: number; readonly burstSize: number }
  | { readonly type: 'dscpRemark'; readonly rate: number; readonly burstSize: number; readonly precedenceLevel: number }
  | { readonly type: 'experimenter'; readonly rate: number; readonly burstSize: number; readonly experimenter: number };

export interface Meter {
  readonly meter: number;
  /** Bits of METER_FLAGS. */
  readonly flags: number;
  readonly bands: readonly MeterBand[];
}
