/** Calls to a controller under test, as its admin or as another user. */
import { createJsonClient, type JsonClient, type StreamingClient } from '@airlock/contract/http-client';
import { Session } from '@airlock/contract/session';
import { Vm } from '@airlock/contract/api';
import type { AppError } from '@airlock/contract/errors';
import type { RunningController } from './controller.js';
import { patience } from './patience.js';
import { until } from './poll.js';

/** A client for the controller at `url`. */
export function apiClient(url: string, token: string): StreamingClient {
  return createJsonClient({ baseUrl: url, token, unreachable: 'internal', name: 'the controller under test' });
}

/** The error that a call ends with. @throws Error when it succeeds */
export async function refusal(call: Promise<unknown>): Promise<AppError> {
  return call.then(
    () => {
      throw new Error('The call was expected to fail, but it succeeded.');
    },
    (error: unknown) => error as AppError,
  );
}

/** Waits until the session has one of these statuses; fails at once when it ended in another. */
export async function untilSession(
  api: JsonClient,
  id: string,
  statuses: readonly Session['status'][],
  timeoutMs: number,
): Promise<Session> {
  const final: readonly Session['status'][] = ['completed', 'failed', 'timeout', 'cancelled'];
  return until(
    `session ${id} to be ${statuses.join(' or ')}`,
    async () => {
      const session = await api.call('GET', `/api/vm/auth/${id}`, Session);
      if (statuses.includes(session.status)) return session;
      if (final.includes(session.status))
        throw new Error(`The session ended as ${session.status}: ${JSON.stringify(session.error, null, 2)}`);
      return undefined;
    },
    { timeoutMs, intervalMs: 250 },
  );
}

/** Waits until the VM has one of these states; fails at once when it failed otherwise. */
export async function untilVm(
  api: JsonClient,
  id: string,
  states: readonly Vm['state'][],
  timeoutMs: number,
): Promise<Vm> {
  return until(
    `VM ${id} to be ${states.join(' or ')}`,
    async () => {
      const vm = await api.call('GET', `/api/vm/${id}`, Vm);
      if (states.includes(vm.state)) return vm;
      if (vm.state === 'failed' || vm.state === 'destroyed')
        throw new Error(`The VM is ${vm.state}: ${JSON.stringify(vm.error, null, 2)}`);
      return undefined;
    },
    { timeoutMs, intervalMs: 250 },
  );
}

/** Ends every VM of the controller, then the controller itself: a failed test, too, leaves no VM running. */
export async function endController(controller: RunningController): Promise<void> {
  const api = apiClient(controller.url, controller.token);
  await api.call('POST', '/api/system/stop-vms', null, { timeoutMs: 90_000 * patience });
  await api.close();
  const code = await controller.stop();
  if (code !== 0) throw new Error(`The controller ended with code ${code}.`);
}
