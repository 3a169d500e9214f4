import { expect, it } from 'vitest';
import { staleDocs } from './docs.mjs';

it('keeps the generated documents up to date (else: node scripts/docs.mjs)', async () => {
  expect(await staleDocs()).toEqual([]);
});
