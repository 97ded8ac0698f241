/** docs/PIPELINE.md is what the generator makes of the declarations now. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { pipelineDocument } from '../../scripts/generate-pipeline-doc.ts';

test('docs/PIPELINE.md is fresh (else: node scripts/generate-pipeline-doc.ts)', () => {
  expect(readFileSync(new URL('../../docs/PIPELINE.md', import.meta.url), 'utf8')).toBe(pipelineDocument());
});
