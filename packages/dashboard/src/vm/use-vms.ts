/** The VMs that the person may see, and stopping and starting one; every list is told at once what became of it. */
import type { Vm } from '@airlock/contract/api';
import { useIsMutating, useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useApi } from '../api/api-context.js';
import type { Api } from '../api/api.js';
import { tones } from './vm-state.js';

const refreshMs = 5000;
/** While something is under way. */
const busyRefreshMs = 1500;

const powerKey = ['power-vm'];

export type PowerVerb = Parameters<Api['powerVm']>[1];

export function useVms() {
  const api = useApi();
  const isAsked = useIsMutating({ mutationKey: powerKey }) > 0;
  return useQuery({
    queryKey: ['vms'],
    queryFn: ({ signal }) => api.vms(signal),
    refetchInterval: ({ state }) =>
      isAsked || state.data?.some((vm) => tones[vm.state] === 'busy') === true ? busyRefreshMs : refreshMs,
  });
}

export function useVmPower(vmId: string) {
  const api = useApi();
  const queryClient = useQueryClient();
  return useMutation({
    mutationKey: powerKey,
    mutationFn: (verb: PowerVerb) => api.powerVm(vmId, verb),
    onSuccess: (vm) =>
      queryClient.setQueryData<Vm[]>(['vms'], (all) => all?.map((one) => (one.id === vm.id ? vm : one))),
    onSettled: () => queryClient.invalidateQueries({ queryKey: ['vms'] }),
  });
}
