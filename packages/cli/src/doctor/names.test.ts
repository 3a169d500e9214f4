import { expect, test } from 'vitest';
import { trialHosts } from '@airlock/contract/provider/registry';
import { findRefusedHosts } from './names.js';

const direct = { AIRLOCK_UPSTREAM_PROXY: undefined, AIRLOCK_DIRECT_HOSTS: [], AIRLOCK_ALLOWED_PRIVATE_HOSTS: [] };
const [first = '', second = ''] = trialHosts();
const madeUp = (address: string) => () => Promise.resolve([{ address, family: 4 }]);

test.each(['198.18.0.4', '10.0.0.1'])('every host is refused where the resolver says %s of each', async (address) => {
  const all = trialHosts().map((host) => ({ host, address }));
  expect(all.length).toBeGreaterThan(1);
  expect(await findRefusedHosts(direct, madeUp(address))).toEqual(all);
});

test('what an upstream is asked for, and what is an exception, is not refused', async () => {
  const refused = (settings: Partial<Parameters<typeof findRefusedHosts>[0]>) =>
    findRefusedHosts({ ...direct, ...settings }, madeUp('198.18.0.4')).then((all) => all.map(({ host }) => host));
  const upstream = { AIRLOCK_UPSTREAM_PROXY: 'http://127.0.0.1:1' };
  expect(await refused(upstream)).toEqual([]);
  expect(await refused({ ...upstream, AIRLOCK_DIRECT_HOSTS: [first] })).toEqual([first]);
  expect(await refused({ AIRLOCK_ALLOWED_PRIVATE_HOSTS: [first] })).toEqual(trialHosts().slice(1));
});

test('one public address is enough, and a name that is not known is not judged', async () => {
  const resolve = (host: string) =>
    host === first
      ? Promise.resolve(['10.0.0.1', '1.1.1.1'].map((address) => ({ address, family: 4 })))
      : Promise.reject(new Error('ENOTFOUND'));
  expect(second).not.toBe('');
  expect(await findRefusedHosts(direct, resolve)).toEqual([]);
});
