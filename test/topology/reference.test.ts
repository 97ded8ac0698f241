/** docs/TOPOLOGY.md is what the schema says now. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { REFERENCE_FILE, topologyReference } from '../../scripts/generate-topology-reference.ts';

test('docs/TOPOLOGY.md is fresh; if not, run scripts/generate-topology-reference.ts', () => {
  expect(readFileSync(REFERENCE_FILE, 'utf8')).toBe(topologyReference());
});
