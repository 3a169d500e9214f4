import { expect, it } from 'vitest';
import { mmdebstrapArguments } from './bootstrap.js';
import { description } from './description.js';

it('gives mmdebstrap a list of words without white space in paths, and no mirror', () => {
  const workspace = { path: '/w', stage: '/w/stage', root: '/w/root' };
  const args = mmdebstrapArguments(description, workspace, '/w/stage.tar', '/w/apt.conf');
  expect(args).toContain('--customize-hook=tar-in /w/stage.tar /');
  expect(args).toContain('--setup-hook=upload /w/apt.conf /etc/apt/apt.conf.d/00airlock-host');
  expect(args.slice(-3)).toEqual(['trixie', '/w/root', '-']);
  expect(args.join(' ')).not.toMatch(/https?:/);
});
