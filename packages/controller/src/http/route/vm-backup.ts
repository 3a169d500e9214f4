/** Homes of CLI VMs as files: out of one, and into a new one. Streams, both ways: no more of them is held than is on its way. */
import { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { BackupHomeRequest, RestoreHomeRequest, Vm, type User } from '@airlock/contract/api';
import { AppError, ErrorResponse } from '@airlock/contract/errors';
import { createTally } from '../../lib/quota.js';
import { createByteReader, type ByteReader } from '../../lib/byte-reader.js';
import { answers } from '../answers.js';
import type { HttpDeps, Server } from '../deps.js';
import { userOf } from '../identity.js';
import { note, noteVm } from '../note.js';
import { createShown, vmOf, vmParams } from './vms.js';
import { ownerOf } from '../../vm/vm.js';

const octets = 'application/octet-stream';
/** Each costs a guess at a passphrase, and its memory. */
const rateLimit = { max: 10, timeWindow: 60_000 };
/** Bytes of the line that an upload begins with. */
const lineLimit = 8 * 1024;
const uploadSilenceMs = 60_000;
/** What a proof of the vault key is for. */
const call = 'POST /api/vm/restore';
/** Of one user at a time: each has room on the disk promised to it. */
const maxRestores = 2;

export function addVmBackupRoutes(server: Server, deps: HttpDeps): void {
  addBackup(server, deps);
  // In a scope of its own, because only here a body is not JSON.
  server.register(async (scope: Server) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(octets, (_request, payload, done) => done(null, payload));
    scope.addContentTypeParser('*', (_request, _payload, done) => done(wrongType()));
    addRestore(scope, deps);
  });
}

function addBackup(server: Server, deps: HttpDeps): void {
  const { vms, users, vault } = deps;
  server.post(
    '/api/vm/:id/backup',
    {
      config: { rateLimit },
      schema: {
        params: vmParams,
        body: BackupHomeRequest,
        summary:
          'The home of a CLI VM as a file, sealed under a passphrase; the VM stands still meanwhile. That of another user wants the proof that one can read the vault key',
        description:
          'The file is one of age (age-encryption.org/v1). It is whole when the answer ends as HTTP says; one that breaks off is cut. The VM is stopped before, and started again if it ran.',
        response: {
          200: { description: 'The file', content: { [octets]: { schema: z.string() } } },
          '4xx': ErrorResponse,
          '5xx': ErrorResponse,
        },
      },
    },
    async (request, reply) => {
      const row = await vmOf(deps, request);
      const { passphrase, now, keyProof } = request.body;
      if (row.userId !== userOf(request).id) vault.keyProofs.require(keyProof, `POST /api/vm/${row.id}/backup`);
      await noteVm(deps, request, row, { action: 'home_backed_up' });
      const owner = (await users.list()).find(({ id }) => id === row.userId);
      const stream = await vms.backup(row.id, { passphrase, now, user: owner?.name ?? ownerOf(row) });
      server.sockets.whenOver(request.raw, reply.raw, () => stream.destroy());
      if (stream.destroyed) throw new AppError('aborted', 'Whoever asked for the backup has hung up.');
      return reply
        .type(octets)
        .header('cache-control', 'no-store')
        .send(stream as unknown as string);
    },
  );
}

function addRestore(server: Server, deps: HttpDeps): void {
  const { vms, users, vault } = deps;
  const shown = createShown(deps);
  const restores = createTally({ name: 'restores', limit: maxRestores, what: 'restores under way' });
  server.post(
    '/api/vm/restore',
    {
      config: { rateLimit },
      schema: {
        consumes: [octets],
        summary:
          'A new CLI VM with the home of a backup, standing still; nothing changes before all of the file was read',
        description:
          'The body is one line of JSON, `{"passphrase", "user"?, "replace"?, "keyProof"?}`, a line feed, and the file. Without `user`, the VM is the caller’s, and for administrators that of the user whom the backup names. `replace` destroys the CLI VM that this user has.',
        response: answers(201, Vm),
      },
    },
    async (request, reply) => {
      const caller = userOf(request);
      const release = restores.take(caller.id);
      const upload = createByteReader(uploadOf(request, deps.uploadSilenceMs ?? uploadSilenceMs));
      try {
        const { passphrase, user, replace, keyProof } = await firstLine(upload);
        // At once: the upload may take longer than a proof is good.
        if (keyProof !== undefined) vault.keyProofs.require(keyProof, call);
        const ownerOf = async (named: string): Promise<string> => {
          const userId = ownerFor(caller, user, named, await users.list());
          if (userId !== caller.id && keyProof === undefined) vault.keyProofs.require(undefined, call);
          await note(deps, request, { action: 'home_restored', userId, details: { replace } });
          return userId;
        };
        const row = await vms.restore(upload.rest(), { passphrase, replace, ownerOf });
        return await reply.status(201).send(await shown.one(row));
      } finally {
        release();
        // What nobody wants to read any more: whoever sends it has its answer sooner.
        request.raw.resume();
      }
    },
  );
}

/** The body as it comes. Leaving it does not hang up: there is an answer to be given. */
async function* uploadOf({ body, raw, server }: FastifyRequest, silenceMs: number): AsyncGenerator<Uint8Array, void> {
  if (!(body instanceof Readable)) throw wrongType();
  const end = server.sockets.upload(raw, silenceMs);
  try {
    yield* body.iterator({ destroyOnReturn: false });
  } catch (error) {
    throw new AppError('aborted', 'The upload of the backup broke off.', { cause: error });
  } finally {
    end();
  }
}

async function firstLine(upload: ByteReader): Promise<z.output<typeof RestoreHomeRequest>> {
  const text = await upload.line(lineLimit);
  const parsed = RestoreHomeRequest.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  // Never the words of zod, which may quote.
  const where = parsed.error.issues.map(({ path }) => path.join('.') || 'the whole line').join(', ');
  throw new AppError('invalid_request', `The first line of the body is not valid: ${where}.`, {
    hint: 'It is JSON, {"passphrase", "user"?, "replace"?}, with a passphrase of at least 12 characters.',
  });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON: the schema refuses it without quoting any of it.
    return undefined;
  }
}

/** @throws AppError forbidden, not_found */
function ownerFor(caller: User, wanted: string | undefined, named: string, all: readonly User[]): string {
  if (caller.role !== 'admin') {
    if (wanted === undefined || wanted === caller.name) return caller.id;
    throw new AppError('forbidden', `${caller.name} is not an administrator, and restores for nobody else.`);
  }
  const name = wanted ?? named;
  const user = all.find((one) => one.name === name);
  if (user) return user.id;
  throw new AppError('not_found', `There is no user ${name}.`, {
    hint: `Make the user first (\`npx airlock user create ${name}\`), or name another one: \`--user\` (\`user\` in the API).`,
  });
}

const wrongType = (): AppError =>
  new AppError('unsupported_media_type', 'The body of a restore must be a line of JSON and the file of a backup.', {
    hint: `Send it with the header content-type: ${octets}.`,
  });
