/** The way to a desktop: an upgrade on the runner's socket. */
import { request as httpRequest } from 'node:http';
import { connectBulk, type BulkSocket } from '@airlock/contract/bulk-socket';
import { AppError } from '@airlock/contract/errors';
import { answerBytes } from '@airlock/contract/received';

/** Milliseconds until the runner has signed in to the desktop, or has refused, however slowly that comes. */
const openMs = 15_000;

/** The desktop behind the runner's socket as an RFB byte stream. */
export function openDesktop(socketPath: string): Promise<BulkSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectBulk({ path: socketPath });
    const timer = setTimeout(() => {
      reject(new AppError('desktop_not_ready', `The desktop did not answer within ${openMs / 1000} s.`));
      socket.destroy();
    }, openMs);
    socket.once('close', () => clearTimeout(timer));
    const request = httpRequest({
      createConnection: () => socket,
      path: '/desktop',
      headers: { connection: 'Upgrade', upgrade: 'rfb' },
    });
    request.once('upgrade', (_answer, _socket, head) => {
      clearTimeout(timer);
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    request.once('response', (answer) => {
      let text = '';
      const end = (): void => {
        reject(desktopRefusal(text, answer.statusCode ?? 0));
        request.destroy();
      };
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (text.length > answerBytes.plain) end();
      });
      answer.once('close', end);
    });
    request.once('error', (cause) =>
      reject(new AppError('vm_not_running', 'The runner of the VM cannot be reached.', { cause })),
    );
    request.end();
  });
}

function desktopRefusal(text: string, status: number): AppError {
  try {
    return AppError.fromAnswer(text);
  } catch (error) {
    return new AppError('desktop_not_ready', `The runner answered ${status} to the request for the desktop.`, {
      cause: error,
    });
  }
}
