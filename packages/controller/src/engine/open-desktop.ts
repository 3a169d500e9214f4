/** The way to a desktop: an upgrade on the runner's socket. */
import { request as httpRequest } from 'node:http';
import { connectBulk, type BulkSocket } from '@airlock/contract/bulk-socket';
import { AppError } from '@airlock/contract/errors';
import { answerBytes } from '@airlock/contract/received';

/** The desktop behind the runner's socket as an RFB byte stream. */
export function openDesktop(socketPath: string): Promise<BulkSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectBulk({ path: socketPath });
    const request = httpRequest({
      createConnection: () => socket,
      path: '/desktop',
      headers: { connection: 'Upgrade', upgrade: 'rfb' },
      timeout: 15_000,
    });
    request.once('upgrade', (_answer, _socket, head) => {
      socket.setTimeout(0);
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
      answer.once('end', end);
    });
    request.once('timeout', () =>
      request.destroy(new AppError('desktop_not_ready', 'The desktop did not answer within 15 s.')),
    );
    request.once('error', (error) =>
      reject(
        error instanceof AppError
          ? error
          : new AppError('vm_not_running', 'The runner of the VM cannot be reached.', { cause: error }),
      ),
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
