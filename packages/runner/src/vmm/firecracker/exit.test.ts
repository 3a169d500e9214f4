import { expect, it } from 'vitest';
import { createCounters, endOf } from './exit.js';

const messages = [
  '2026-11-27T21:50:46.000000001 [vm-1:fc_vcpu 0] Received KVM_EXIT_INTERNAL_ERROR signal',
  '2026-11-27T21:50:46.000000002 [vm-1:main] RunWithApiError error: MicroVM stopped with an error: GenericError',
  'Error: RunWithApi(MicroVMStoppedWithError(GenericError))',
  '2026-11-27T21:50:46.000000003 [vm-1:main] Firecracker exiting with error. exit_code=1',
].join('\n');

it.each([
  [{ code: 1, signal: null }, 'ended with code 1 (a general fault): Received KVM_EXIT_INTERNAL_ERROR signal'],
  [{ code: 148, signal: null }, 'ended with code 148 (it made a system call that its filter forbids): Received'],
  [{ code: 149, signal: null }, 'SIGBUS: a file behind the VM'],
  [{ code: 77, signal: null }, 'ended with code 77: Received'],
  [{ code: null, signal: 'SIGKILL' }, /^Firecracker was ended by SIGKILL\.$/],
] as const)('%o is a fault: %s', (exit, words) => {
  const failures = { 'vcpu.failures': 1 };
  expect(endOf(exit, { messages, failures })).toMatchObject({
    by: 'fault',
    error: {
      code: 'vmm_failed',
      message: typeof words === 'string' ? expect.stringContaining(words) : expect.stringMatching(words),
      details: { lastOutput: messages, failures },
    },
  });
});

it('code 0 is the guest’s own end', () => {
  expect(endOf({ code: 0, signal: null }, { messages, failures: {} })).toEqual({ by: 'guest' });
});

it('counts the faults that its metrics tell of, over all lines, however they come', () => {
  const counters = createCounters();
  const line = (fails: number): string =>
    `${JSON.stringify({ utc_timestamp_ms: 5, block: { event_fails: fails, read_count: 7 }, seccomp: { num_faults: 0 } })}\n`;
  for (const piece of [line(1), line(2).slice(0, 20), line(2).slice(20), 'no JSON\n', line(4).slice(0, -5)]) {
    counters.read(Buffer.from(piece));
  }
  expect(counters.failures()).toEqual({ 'block.event_fails': 3 });
});
