import { describe, expect, it } from 'vitest';
import { parse } from './bench.mjs';

describe('arguments of npm run bench', () => {
  it('measures everything by default, quick parts first', () => {
    expect(parse([])).toMatchObject({ wanted: ['tunnel', 'egress', 'boot', 'image'], runs: null });
  });

  it('takes parts and rounds', () => {
    expect(parse(['--only', 'image,tunnel', '--runs', '3'])).toMatchObject({ wanted: ['tunnel', 'image'], runs: 3 });
  });

  it('compares two images only when asked, and told with which', () => {
    expect(parse(['--only', 'forms', '--against', '/a/b'])).toMatchObject({ wanted: ['forms'], against: '/a/b' });
    expect(() => parse(['--only', 'forms'])).toThrow(/needs an image to compare with/);
  });

  it('compares VMMs only when asked', () => {
    expect(parse(['--only', 'vmm'])).toMatchObject({ wanted: ['vmm'] });
  });

  it.each([
    [['--only', 'disk'], /no part "disk"/],
    [['--runs', '0'], /--runs is "0"/],
    [['--fast'], /--fast/],
  ])('refuses %j', (args, message) => {
    expect(() => parse(args)).toThrow(message);
  });
});
