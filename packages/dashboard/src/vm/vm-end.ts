/** The words for when a VM ends, or has ended. Pure. */
import type { Vm } from '@airlock/contract/api';
import { formatMoment } from '../ui/time.js';

/** `–` where it is under way, or where nothing is planned. `nowMs` decides between a time of day and a date. */
export function describeEnd({ state, destroyAt, stopAt }: Vm, nowMs: number): string {
  if (state === 'stopping' || state === 'destroying') return '–';
  if (destroyAt !== null) {
    const hasEnded = state === 'failed' || state === 'destroyed';
    return `${hasEnded ? 'ended' : 'ends'} ${formatMoment(destroyAt, nowMs)}`;
  }
  return stopAt === null ? '–' : `stops ${formatMoment(stopAt, nowMs)} if idle`;
}
