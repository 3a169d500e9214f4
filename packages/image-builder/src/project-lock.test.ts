import { expect, it } from 'vitest';
import { clisOf } from './cli.js';
import { exampleLock } from './fixtures/clis.js';
import { withoutOthers } from './project-lock.js';

it('drops a wrapper that is pinned where its program is installed now, with all below it, and nothing else', () => {
  const path = 'node_modules/@anthropic-ai/claude-code';
  const integrity = 'sha512-A';
  const packages = {
    ...exampleLock.packages,
    [path]: { version: '1.0.0', integrity },
    [`${path}/node_modules/x`]: { version: '1.0.0', integrity },
    [`${path}-other`]: { version: '1.0.0', integrity },
  };
  const { [path]: _wrapper, [`${path}/node_modules/x`]: _below, ...left } = packages;
  expect(withoutOthers({ packages }, clisOf(exampleLock))).toEqual({ packages: left });
  expect(withoutOthers(exampleLock, clisOf(exampleLock))).toEqual(exampleLock);
});
