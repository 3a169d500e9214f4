import { expect, it } from 'vitest';
import { mmdebstrapArguments, type RootPlan } from './bootstrap.js';
import { description } from './description.js';

const plan: RootPlan = {
  description,
  workspace: { path: '/w', stage: '/w/stage', root: '/w/root' },
  stageTar: '/w/stage.pipe',
  debCache: { debs: '/c/debs', fresh: '/c/fresh', sums: '/c/sha256.json' },
  chrome: false,
};

it('gives mmdebstrap a list of words without white space in paths, and no mirror', () => {
  const args = mmdebstrapArguments(plan, '/w/apt.conf');
  expect(args).toContain('--customize-hook=tar --extract --file=/w/stage.pipe --directory="$1" --numeric-owner');
  expect(args).toContain('--setup-hook=upload /w/apt.conf /etc/apt/apt.conf.d/00airlock-host');
  expect(args.slice(-3)).toEqual(['trixie', '/w/root', '-']);
  expect(args.join(' ')).not.toMatch(/https?:/);
});

it('brings the kept packages in before apt runs, and takes them out before they are tidied away', () => {
  const args = mmdebstrapArguments(plan, '/w/apt.conf');
  expect(args).toContain('--setup-hook=sync-in /c/debs /var/cache/apt/archives');
  expect(args).toContain('--customize-hook=sync-out /var/cache/apt/archives /c/fresh');
});

it('runs its scripts in the root alone, with nothing of this host in its environment', () => {
  const hooks = mmdebstrapArguments(plan, '/w/apt.conf').filter((arg) => arg.startsWith('--customize-hook='));
  const at = (word: string): number => hooks.findIndex((hook) => hook.includes(word));
  expect(hooks[at('/finish.sh')]).toMatch(
    /^--customize-hook=env -i PATH=\S+ LANG=\S+ SOURCE_DATE_EPOCH=\d+ chroot "\$1" sh /,
  );
  expect(at('tar --extract')).toBeLessThan(at('/finish.sh'));
});

it('puts Google Chrome in only when asked', () => {
  const runsIt = (chrome: boolean): boolean =>
    mmdebstrapArguments({ ...plan, chrome }, '/w/apt.conf').some((arg) => arg.endsWith('/chrome.sh'));
  expect([runsIt(false), runsIt(true)]).toEqual([false, true]);
});
