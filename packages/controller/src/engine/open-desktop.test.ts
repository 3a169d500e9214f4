/** The way from the controller to a desktop: an upgrade on the runner's socket. The runner here is a stand-in. */
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AppError } from '@airlock/contract/errors';
import { homePaths } from '@airlock/contract/home';
import { runnerFiles } from '@airlock/contract/runner';
import type { Engine } from './engine.js';
import { openTestEngine } from './testing.js';

const vmId = 'vm_0123456789abcdef';
const accepted = 'HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: rfb\r\n\r\n';

let home: string;
let engine: Engine;
let runner: Server | undefined;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'airlock-engine-'));
  engine = openTestEngine(home);
  await mkdir(homePaths(home).vm(vmId), { recursive: true });
});

afterEach(async () => {
  await engine.close();
  runner?.close();
  runner = undefined;
  await rm(home, { recursive: true });
});

async function listen(onUpgrade: (viewer: Duplex) => void): Promise<void> {
  runner = createServer();
  runner.on('upgrade', (request, viewer) => {
    viewer.on('error', () => viewer.destroy());
    expect([request.url, request.headers.upgrade]).toEqual(['/desktop', 'rfb']);
    onUpgrade(viewer);
  });
  runner.listen(join(homePaths(home).vm(vmId), runnerFiles.socket));
  await once(runner, 'listening');
}

describe('openDesktop', () => {
  test('gives what came with the answer and what comes later, in order, and takes what is written', async () => {
    await listen((viewer) => {
      viewer.write(`${accepted}RFB 003`);
      viewer.once('data', (chunk: Buffer) => viewer.end(`.008\n${String(chunk)}`));
    });
    const desktop = await engine.openDesktop(vmId);
    let text = '';
    desktop.forward((chunk, release) => {
      text += String(chunk);
      release();
    });
    desktop.write('hello');
    await once(desktop, 'end');
    expect(text).toBe('RFB 003.008\nhello');
  });

  test("passes the runner's refusal on", async () => {
    const body = JSON.stringify({ error: new AppError('guest_refused', 'The VNC server refused.').toBody() });
    await listen((viewer) => viewer.end(`HTTP/1.1 502 no\r\ncontent-length: ${body.length}\r\n\r\n${body}`));
    await expect(engine.openDesktop(vmId)).rejects.toMatchObject({ code: 'guest_refused' });
  });

  test.each(['', 'HTTP/1.1 500 no\r\ncontent-length: 2000\r\n\r\n'])(
    'has an end for an answer that drips (%j)',
    async (first) => {
      let closed: Promise<unknown> | undefined;
      await listen((viewer) => {
        viewer.write(first);
        const timer = setInterval(() => viewer.write(first === '' ? 'H' : ' '), 1000);
        closed = new Promise<void>((resolve) => viewer.once('close', resolve)).finally(() => clearInterval(timer));
      });
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      try {
        const opening = engine.openDesktop(vmId);
        opening.catch(() => undefined);
        await vi.waitFor(() => expect(closed).toBeDefined(), { timeout: 5000 });
        vi.advanceTimersByTime(15_000);
        await expect(opening).rejects.toMatchObject({
          code: 'desktop_not_ready',
          message: 'The desktop did not answer within 15 s.',
        });
      } finally {
        vi.useRealTimers();
      }
      await closed;
    },
  );

  test('says so when the answer is none, and when there is no runner', async () => {
    await listen((viewer) => viewer.end('HTTP/1.1 500 no\r\ncontent-length: 2\r\n\r\nno'));
    await expect(engine.openDesktop(vmId)).rejects.toMatchObject({ code: 'desktop_not_ready' });
    runner?.close();
    await listen((viewer) => viewer.end('HTTP/1.1 500 no\r\ncontent-length: 20\r\n\r\nbroken off'));
    await expect(engine.openDesktop(vmId)).rejects.toMatchObject({ code: 'desktop_not_ready' });
    runner?.close();
    await rm(join(homePaths(home).vm(vmId), runnerFiles.socket), { force: true });
    await expect(engine.openDesktop(vmId)).rejects.toMatchObject({ code: 'vm_not_running' });
  });
});
