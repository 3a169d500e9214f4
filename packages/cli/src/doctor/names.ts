/** What this host finds out about names that VMs dial: where its resolver makes addresses up, the egress gateway refuses every one. */
import { promises, type LookupAddress } from 'node:dns';
import { isListed, isPublicAddress } from '@airlock/contract/address';
import { inTime } from '@airlock/contract/deadline';
import { trialHosts } from '@airlock/contract/provider/registry';
import type { Settings } from '@airlock/contract/settings';

/** A provider's host that has no address that VMs may reach, and one of those that it has. */
export interface RefusedHost {
  host: string;
  address: string;
}

type Ways = Pick<Settings, 'AIRLOCK_UPSTREAM_PROXY' | 'AIRLOCK_DIRECT_HOSTS' | 'AIRLOCK_ALLOWED_PRIVATE_HOSTS'>;

/** Milliseconds for a name: one that is not known by then is not judged. */
const lookupMs = 5000;

const lookupAll = (host: string): Promise<LookupAddress[]> => promises.lookup(host, { all: true });

/** Hosts that an upstream is asked for, and exceptions, are reached whatever this host finds. */
export async function findRefusedHosts(settings: Ways, resolve = lookupAll): Promise<RefusedHost[]> {
  const {
    AIRLOCK_UPSTREAM_PROXY: upstream,
    AIRLOCK_DIRECT_HOSTS: direct,
    AIRLOCK_ALLOWED_PRIVATE_HOSTS: allowed,
  } = settings;
  const dialled = trialHosts().filter(
    (host) => (upstream === undefined || isListed(host, direct)) && !isListed(host, allowed),
  );
  const found = dialled.map(async (host) => {
    const late = (): Error => new Error('late');
    const addresses = await inTime(resolve(host), lookupMs, late).catch((): LookupAddress[] => []);
    const [first] = addresses;
    return first && !addresses.some(({ address }) => isPublicAddress(address))
      ? [{ host, address: first.address }]
      : [];
  });
  return (await Promise.all(found)).flat();
}
