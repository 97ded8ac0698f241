/**
 * The test layers (docs/TESTING.md): `unit` needs nothing, `ovs` starts real ovsdb-server and ovs-vswitchd processes,
 * `netns` builds hosts and guests out of network namespaces and needs root,
 * `soak` changes a site of real daemons at random for two minutes.
 */
import { defineConfig } from 'vitest/config';

/** Messages of failures say what differs, instead of `[ …(3) ]`: the list at the end of `scripts/test` has nothing else. */
const shared = { chaiConfig: { truncateThreshold: 2000 } } as const;
/** A shared machine loses a packet or a second now and then: what fails once beside real daemons is asked once more. */
const daemons = {
  ...shared,
  testTimeout: 60_000,
  hookTimeout: 60_000,
  fileParallelism: false,
  retry: 1,
} as const;

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...shared,
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/ovs/**', 'test/netns/**', 'test/soak/**', 'test/parity/**/*.ovs.test.ts'],
          testTimeout: 60_000,
        },
      },
      { test: { name: 'ovs', include: ['test/ovs/**/*.test.ts', 'test/parity/**/*.ovs.test.ts'], ...daemons } },
      { test: { name: 'netns', include: ['test/netns/**/*.test.ts'], ...daemons } },
      // A second run has another seed: what the first one found must not be forgotten over it.
      { test: { name: 'soak', include: ['test/soak/**/*.test.ts'], ...daemons, retry: 0 } },
    ],
  },
});
