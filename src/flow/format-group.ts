/**
 * Groups and meters as `ovs-ofctl dump-groups` and `dump-meters` print them on OpenFlow 1.3, on one line each. Serves log lines
 * and the command line.
 */
import { PORT } from './flow.ts';
import { type FlowTextOptions, formatActions } from './format.ts';
import type { Group, GroupType } from './group.ts';
import { METER_CONTROLLER, METER_FLAGS, type Meter, type MeterBand } from './meter.ts';
import { formatPort } from './port-text.ts';

const TYPE_TEXTS: Readonly<Record<GroupType, string>> = {
  all: 'all',
  select: 'select',
  indirect: 'indirect',
  fastFailover: 'ff',
};

/** `group_id=7,type=select,bucket=weight:2,actions=output:1` */
export function formatGroup({ group, groupType, buckets }: Group, options: FlowTextOptions = {}): string {
  const texts = buckets.map(({ weight, watchPort, watchGroup, actions, unknown }) => {
    const parts = [
      ...(groupType === 'select' && weight !== 1 ? [`weight:${weight}`] : []),
      ...(watchPort === PORT.any ? [] : [`watch_port:${formatPort(watchPort, options.portNames)}`]),
      ...(watchGroup === PORT.any ? [] : [`watch_group:${watchGroup}`]),
      `actions=${unknown ?? formatActions(actions, options)}`,
    ];
    return `,bucket=${parts.join(',')}`;
  });
  return `group_id=${group},type=${TYPE_TEXTS[groupType]}${texts.join('')}`;
}

/** `meter=5 pktps burst bands= type=drop rate=100 burst_size=100` */
export function formatMeter({ meter, flags, bands }: Meter): string {
  const names = Object.entries(METER_FLAGS).flatMap(([name, bit]) => ((flags & bit) === 0 ? [] : [name]));
  const name = meter === METER_CONTROLLER ? 'controller' : String(meter);
  const texts = bands.map((band) => formatBand(band, (flags & METER_FLAGS.burst) !== 0));
  return `meter=${name} ${names.join(' ')} bands= ${texts.join(' ')}`;
}

function formatBand(band: MeterBand, hasBurst: boolean): string {
  const type = band.type === 'dscpRemark' ? 'dscp_remark' : band.type;
  return `type=${type} rate=${band.rate}${hasBurst ? ` burst_size=${band.burstSize}` : ''}`;
}
