/** The whole pipeline: every bridge, with every rule declared. What lists rules (documentation, tests) imports this. */
import './anti-spoof.ts';
import './dvr.ts';
import './gateway.ts';
import './gateway-alive.ts';
import './gateway-failover.ts';
import './nat.ts';
import './outside.ts';
import './router-in.ts';
import './router-out.ts';
import './router-route.ts';

export { brInt } from './br-int.ts';
export { brPhys } from './br-phys.ts';
export { brTun } from './br-tun.ts';
