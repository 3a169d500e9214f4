/** Prompts: a text for the CLI in the caller's CLI VM, the answer as server-sent events. */
import { z } from 'zod';
import { RunPromptRequest } from '@airlock/contract/api';
import { ErrorResponse } from '@airlock/contract/errors';
import { VmId } from '@airlock/contract/ids';
import type { HttpDeps, Server } from '../deps.js';
import { userOf } from '../identity.js';
import { promptStream } from '../prompt-stream.js';
import { assertMayPrompt, visibleVm } from '../vm.js';

/** Bytes: the longest prompt, each of its characters written as four bytes or as an escape. */
const bodyLimit = 2 * 1024 * 1024;

export function addPromptRoutes(server: Server, { vms, prompts, heartbeatMs = 15_000 }: HttpDeps): void {
  server.post(
    '/api/vm/:id/cli/prompt',
    {
      bodyLimit,
      schema: {
        params: z.strictObject({ id: z.union([VmId, z.literal('me')]) }),
        body: RunPromptRequest,
        summary: 'Run a prompt in a CLI VM (`me`: the caller’s), which is started when it stands still',
        description:
          'Server-sent events: `data: {"status"}`, `{"chunk"}`, `{"error"}`, `{"exitCode"}`, and `data: [DONE]` at the end. Hanging up cancels.',
        response: {
          200: { description: 'The events', content: { 'text/event-stream': { schema: z.string() } } },
          '4xx': ErrorResponse,
          '5xx': ErrorResponse,
        },
      },
    },
    async (request, reply) => {
      const user = userOf(request);
      const { id } = request.params;
      if (id !== 'me') assertMayPrompt(user, visibleVm(user, id, await vms.get(id)));
      const stream = promptStream(await prompts.prepare(user.id, request.body), heartbeatMs);
      server.sockets.whenOver(request.raw, reply.raw, () => stream.destroy());
      return reply
        .type('text/event-stream')
        .header('cache-control', 'no-store')
        .header('x-accel-buffering', 'no')
        .serializer((payload: unknown) => String(payload))
        .send(stream as unknown as string);
    },
  );
}
