/** The VMs that the person may see, and stopping, starting and updating them; every list is told at once what became of it. */
import type { Vm, VmUpdateKind } from '@airlock/contract/api';
import { underWay } from '@airlock/contract/vm-update';
import { useIsMutating, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useApi } from '../api/api-context.js';
import type { Api } from '../api/api.js';
import { tones } from './vm-state.js';

const refreshMs = 5000;
/** While something is under way. */
const busyRefreshMs = 1500;

const changeKey = ['change-vm'];

export type PowerVerb = Parameters<Api['powerVm']>[1];

/** Whether it soon is something else: not while it waits, for its turn or until nobody uses it. */
function isBusy(vm: Vm): boolean {
  const state = underWay(vm);
  return tones[vm.state] === 'busy' || state === 'copying' || state === 'proving';
}

export function useVms() {
  const api = useApi();
  const isAsked = useIsMutating({ mutationKey: changeKey }) > 0;
  return useQuery({
    queryKey: ['vms'],
    queryFn: ({ signal }) => api.vms(signal),
    refetchInterval: ({ state }) => (isAsked || state.data?.some(isBusy) === true ? busyRefreshMs : refreshMs),
  });
}

export function useVmPower(vmId: string) {
  const api = useApi();
  return useVmChange((verb: PowerVerb) => api.powerVm(vmId, verb).then(one));
}

/** Another root under the home of one. */
export function useVmRoot(vmId: string) {
  const api = useApi();
  return useVmChange(({ kind, now }: { kind: VmUpdateKind; now: boolean }) =>
    api.replaceRoot(vmId, kind, now).then(one),
  );
}

/** The same for all that are behind. */
export function useUpdateAll() {
  const api = useApi();
  return useVmChange<void>(() => api.updateVms());
}

const one = (vm: Vm): Vm[] => [vm];

/** `change` answers with the VMs that it has changed. */
function useVmChange<T>(change: (asked: T) => Promise<Vm[]>) {
  const queryClient = useQueryClient();
  return useMutation({
    mutationKey: changeKey,
    mutationFn: change,
    onSuccess: (changed) => {
      const byId = new Map(changed.map((vm) => [vm.id, vm]));
      queryClient.setQueryData<Vm[]>(['vms'], (all) => all?.map((vm) => byId.get(vm.id) ?? vm));
    },
    onSettled: () => queryClient.invalidateQueries({ queryKey: ['vms'] }),
  });
}
