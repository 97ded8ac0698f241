/**
 * The test layers (docs/TESTING.md): `unit` needs nothing, `ovs` starts real ovsdb-server and ovs-vswitchd processes,
 * `netns` builds hosts and guests out of network namespaces and needs root.
 */
import { defineConfig } from 'vitest/config';

const daemons = { testTimeout: 60_000, hookTimeout: 60_000, fileParallelism: false } as const;

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/ovs/**', 'test/netns/**', 'test/parity/**/*.ovs.test.ts'],
          testTimeout: 20_000,
        },
      },
      { test: { name: 'ovs', include: ['test/ovs/**/*.test.ts', 'test/parity/**/*.ovs.test.ts'], ...daemons } },
      { test: { name: 'netns', include: ['test/netns/**/*.test.ts'], ...daemons } },
    ],
  },
});
