/**
 * What a VMM has that finds its files by their names, in a root folder that its own jailer makes: pipes for what it says, and its API.
 * The root folder is memory in a mount namespace of the jail's own, and gone with it; the pipes are below the folder of the VM.
 */
import { once } from 'node:events';
import { constants, open as openFile } from 'node:fs';
import { chown, mkdir, open } from 'node:fs/promises';
import { connect, Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { AppError } from '@airlock/contract/errors';
import { jailPlaces } from '@airlock/contract/privileged';
import { run, systemPath } from '@airlock/contract/process';
import { inodeOf } from './files.js';

/** Milliseconds between two looks for a socket that is only being made. */
const retryMs = 5;
const said = ['console', 'messages', 'metrics'] as const;

export interface Pipe {
  says: (typeof said)[number];
  path: string;
  inode: string;
  reader: Socket;
  /** No writer is left then but the VMM, if that. */
  close(): Promise<void>;
}

/** Where the root folder is made, on the host an empty folder for ever. */
export const chrootBase = (base: string): string => join(base, 'j');

/** Makes the place of the root folder, and the pipes, which the VMM with this user opens by name. The caller removes both. */
export async function makePlaces(base: string, uid: number): Promise<Pipe[]> {
  await mkdir(chrootBase(base), { mode: 0o700 });
  const paths = said.map((says) => join(base, says));
  try {
    await run('mkfifo', ['--mode=0600', ...paths], { cleanEnv: true, env: { PATH: systemPath() }, timeoutMs: 10_000 });
  } catch (cause) {
    const { message } = AppError.inItsWords(cause);
    if (/No space left/.test(message)) throw Object.assign(new Error(message), { code: 'ENOSPC' });
    throw cause;
  }
  const pipes: Pipe[] = [];
  try {
    for (const says of said) {
      await chown(join(base, says), uid, uid);
      pipes.push(await openPipe(says, join(base, says)));
    }
    return pipes;
  } catch (error) {
    await Promise.all(pipes.map((pipe) => pipe.close()));
    throw error;
  }
}

/** Not a file: what the VMM, and through it a guest, writes must not fill a disk. Nor a socket: it is opened by its name. */
async function openPipe(says: Pipe['says'], path: string): Promise<Pipe> {
  // A writer of our own: the pipe does not end before it is closed, whether the VMM has opened it or not.
  const writer = await open(path, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    // The bare number: a FileHandle would close it a second time.
    const fd = await promisify(openFile)(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const reader = new Socket({ fd, readable: true, writable: false });
    return { says, path, inode: await inodeOf(writer), reader, close: () => writer.close() };
  } catch (error) {
    await writer.close();
    throw error;
  }
}

/**
 * The VMM's API, by one connection from before its guest begins: later, a link in the socket's place could lead root anywhere.
 * `ended` rejects when the VMM has.
 */
export async function connectApi(pid: number, ended: Promise<never>): Promise<Socket> {
  for (;;) {
    const socket = connect(`/proc/${pid}/root/${jailPlaces.api}`);
    try {
      await Promise.race([ended, once(socket, 'connect')]);
      return socket;
    } catch (error) {
      socket.destroy();
      // It appears before anybody listens on it.
      if (!['ENOENT', 'ECONNREFUSED'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
      await pause(retryMs);
    }
  }
}
