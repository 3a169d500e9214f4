/** A controller that is killed before and after every call that a sign-in makes: the next one comes to the same end. */
import { describe, expect, test, vi } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import { useDesk } from './testing/desk.js';
import { bundleOf } from '../vault/testing.js';
import { idleLogin } from './testing/host.js';

const desk = useDesk();

describe('a controller that is killed', () => {
  /** Every call to an agent of an undisturbed re-connect, and what is between them in the desk.vault. */
  const moments = [
    'GET /login',
    'POST /login',
    'GET /credentials/codex',
    'stage',
    'PUT /credentials/codex',
    'POST /checks/proof_codex',
    'commit',
  ];

  test.each(moments.flatMap((moment) => [['before', moment] as const, ['after', moment] as const]))(
    '%s %s comes to the same end',
    async (when, moment) => {
      await desk.signIn('valid');
      let killed: Promise<void> | undefined;
      const kill = (): never => {
        killed = desk.restart();
        throw new AppError('aborted', 'killed');
      };
      const original = { ...desk.vault };
      const hold = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
        if (killed || name !== moment) return work();
        if (when === 'after') await work();
        return kill();
      };
      desk.vault.stage = (owner, bundle) => hold('stage', () => original.stage(owner, bundle));
      desk.vault.commit = (...args) => hold('commit', () => original.commit(...args));
      try {
        const { id } = await desk.sessions.start(desk.ada, 'codex');
        await vi.waitFor(() => expect(desk.host.vm('browser').row.sessionId).toBe(id));
        for (const vm of [desk.host.vm('browser'), desk.host.vm('cli')]) {
          const answer = vm.onCall;
          vm.onCall = async (call) => {
            await answer(call);
            if (killed || call !== moment) return;
            if (when === 'before') return kill();
            // The agent does what it was asked; only the answer does not arrive.
            if (call === 'POST /login') vm.login = { ...idleLogin, provider: 'codex', state: 'starting' };
            if (call === 'PUT /credentials/codex') Object.assign(vm, { credential: bundleOf('new'), generation: 2 });
            return kill();
          };
        }
        await vi.waitFor(() => expect(desk.host.vm('browser').login.state).toBe('starting'), { timeout: 5000 });
        desk.finishLogin('new');
        const session = await desk.until(id, 'completed');
        expect(session).toMatchObject({ error: null });
        expect([desk.cliToken(), await desk.storedToken()]).toEqual(['new', 'new']);
        expect(await desk.vault.list(desk.ada)).toMatchObject([{ state: 'active' }]);
        const made = [...desk.host.all.values()].filter(({ row }) => row.sessionId === id);
        expect(made).toHaveLength(1);
      } finally {
        Object.assign(desk.vault, original);
        await killed;
      }
    },
  );

  test('between making the browser VM and noting it uses that VM', async () => {
    desk.host.holdBoot = true;
    const { id } = await desk.sessions.start(desk.ada, 'codex');
    await desk.until(id, 'vm_created');
    await desk.close();
    await desk.store.store.db.execute(
      `update airlock.auth_sessions set status = 'pending', browser_vm_id = null where id = '${id}'`,
    );
    desk.host.holdBoot = false;
    await desk.restart();
    await desk.until(id, 'ready');
    expect(desk.host.all.size).toBe(1);
  });
});
