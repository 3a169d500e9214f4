/** Logins that a CLI ends in words of its own: refused, waited too long, in want of a setting. On a real database, with scripted VMs. */
import { describe, expect, test, vi } from 'vitest';
import { readRecording } from '@airlock/contract/provider/testing';
import type { Session } from '@airlock/contract/session';
import { authSessions } from './table.js';
import { useDesk } from './testing/desk.js';

const desk = useDesk();

describe('a login that its CLI ends', () => {
  test.each(['ready', 'awaiting_user_auth'] as const)(
    'a refusal that is known is told in its own words, from %s',
    async (from) => {
      const { id } = await desk.sessions.start(desk.ada, 'gemini_cli');
      await desk.until(id, 'ready', ({ steps }) =>
        steps.some((s) => s.name === 'login_page' && s.status === 'running'),
      );
      if (from !== 'ready') desk.openPage();
      await desk.until(id, from);
      const lastOutput = await readRecording('gemini_cli', '0.61-refused-individual.txt');
      desk.host.vm('browser').login = { ...desk.host.vm('browser').login, state: 'failed', exitCode: 0, lastOutput };
      const { notice } = await desk.until(id, 'awaiting_user_auth', (session) => session.notice !== null);
      expect(notice?.message).toMatch(/accounts of individuals .* 18 June 2026/);
      expect(notice?.hint).toMatch(/API key.*Workspace.*licence/);
      expect(notice?.hint).not.toContain('allow it there');
    },
  );

  test('a CLI that has waited as long as it does begins again by itself, in the time that the person has', async () => {
    const { id } = await desk.sessions.start(desk.ada, 'gemini_cli');
    const pageRuns = ({ steps }: Session) => steps.some((s) => s.name === 'login_page' && s.status === 'running');
    await desk.until(id, 'ready', pageRuns);
    desk.openPage();
    await desk.until(id, 'awaiting_user_auth');
    const { expiresAt } = await desk.sessions.extend(desk.ada, id);
    const lastOutput = await readRecording('gemini_cli', '0.61-waited.txt');
    desk.host.vm('browser').login = { ...desk.host.vm('browser').login, state: 'failed', exitCode: 0, lastOutput };
    await desk.until(id, 'ready', pageRuns);
    desk.openPage();
    const again = await desk.until(id, 'awaiting_user_auth');
    expect(again).toMatchObject({ expiresAt, login: { method: 'browser' }, notice: { code: 'login_repeated' } });
    expect(again.notice?.message).toMatch(/waits five minutes.*begun again by itself/);
  });

  test('a CLI that has waited is not begun again when the person’s time is up, too', async () => {
    const { id } = await desk.sessions.start(desk.ada, 'gemini_cli');
    await desk.until(id, 'ready', ({ steps }) => steps.some((s) => s.name === 'login_page' && s.status === 'running'));
    desk.openPage();
    await desk.until(id, 'awaiting_user_auth');
    const lastOutput = await readRecording('gemini_cli', '0.61-waited.txt');
    const deadlineAt = new Date(Date.now() + 1000);
    await desk.store.store.db.update(authSessions).set({ deadlineAt });
    desk.host.vm('browser').login = { ...desk.host.vm('browser').login, state: 'failed', exitCode: 0, lastOutput };
    expect((await desk.until(id, 'timeout')).error).toMatchObject({ code: 'sign_in_timeout' });
  });

  test('a CLI that asks for a setting is given it, and goes on with the login that it has', async () => {
    const { id } = await desk.sessions.start(desk.ada, 'gemini_cli');
    const pageRuns = ({ steps }: Session) => steps.some((s) => s.name === 'login_page' && s.status === 'running');
    await desk.until(id, 'ready', pageRuns);
    const lastOutput = await readRecording('gemini_cli', '0.61-refused-workspace.txt');
    desk.host.vm('browser').login = { ...desk.host.vm('browser').login, state: 'failed', exitCode: 0, lastOutput };
    const asked = await desk.until(id, 'awaiting_user_auth', ({ notice }) => notice !== null);
    expect(asked.notice).toMatchObject({ code: 'setting_needed', details: { setting: 'project' } });
    const give = async (project: string) => desk.sessions.restartLogin(desk.ada, id, 'browser', { project });
    await expect(give('123456789')).rejects.toMatchObject({ code: 'invalid_request' });
    await give('my-project-123');
    await desk.until(id, 'ready', pageRuns);
    const calls = desk.host.vm('browser').calls.filter(({ call }) => /^(?:POST \/login|DELETE)/.test(call));
    expect(calls.map(({ call }) => call)).toEqual(['POST /login', 'DELETE /login', 'POST /login']);
    expect(calls.at(-1)?.body).toMatchObject({ settings: { project: 'my-project-123' } });
    // It still has the setting when the CLI then waits for as long as it does.
    desk.openPage();
    await desk.until(id, 'awaiting_user_auth');
    const waited = await readRecording('gemini_cli', '0.61-waited.txt');
    desk.host.vm('browser').login = { ...desk.host.vm('browser').login, state: 'failed', lastOutput: waited };
    await desk.until(id, 'ready', pageRuns);
    const { body } = desk.host.vm('browser').calls.findLast(({ call }) => call === 'POST /login') ?? {};
    expect(body).toMatchObject({ settings: { project: 'my-project-123' } });
    await desk.sessions.restartLogin(desk.ada, id, 'browser');
    await vi.waitFor(() =>
      expect(desk.host.vm('browser').calls.map(({ call }) => call)).toContain('DELETE /credentials/gemini_cli'),
    );
  });
});
