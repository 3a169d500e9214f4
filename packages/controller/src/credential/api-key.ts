/**
 * Signing in by API key: staged, delivered to the CLI VM, proved by the CLI there, and only then active. The staged row is the
 * memory of it: a controller that starts goes on with every one it finds.
 */
import type { Logger } from 'pino';
import { raceAbort } from '@airlock/contract/deadline';
import { AppError } from '@airlock/contract/errors';
import type { CredentialBundle } from '@airlock/contract/guest';
import type { ProviderLogin } from '@airlock/contract/provider/facts';
import { providers } from '@airlock/contract/provider/registry';
import { requireRunning } from '../vm/patience.js';
import type { Vms } from '../vm/vm.js';
import type { CredentialRow, Owner, Vault } from '../vault/vault.js';
import { prove } from './check.js';
import { proofError } from './health.js';

export interface ApiKeyDeps {
  vault: Vault;
  vms: Vms;
  log: Logger;
  deliver(vmId: string, staged: Owner & { lineage: number }, signal: AbortSignal): Promise<void>;
  sync(vmId: string): Promise<unknown>;
  signal: AbortSignal;
}

type Staged = Owner & { lineage: number };

interface Attempt {
  stop: AbortController;
  done: Promise<void>;
}

export interface ApiKeys {
  set(owner: Owner, key: string): Promise<{ lineage: number }>;
  /** Gives up on an attempt that is under way, if there is one. */
  cancel(owner: Owner): void;
  resume(): Promise<void>;
  close(): Promise<void>;
}

const nameOf = ({ userId, provider }: Owner): string => `${userId}/${provider}`;

interface Attempts extends ApiKeyDeps {
  /** By owner: those under way. */
  attempts: Map<string, Attempt>;
}

export function createApiKeys(deps: ApiKeyDeps): ApiKeys {
  const ctx: Attempts = { ...deps, attempts: new Map() };
  return {
    set: (owner, key) => set(ctx, owner, key),
    cancel: (owner) => cancel(ctx, owner),
    async resume() {
      for (const row of await ctx.vault.stagedKeys()) begin(ctx, stagedOf(row));
    },
    async close() {
      await Promise.all([...ctx.attempts.values()].map(({ done }) => done));
    },
  };
}

async function set(ctx: Attempts, owner: Owner, key: string): Promise<{ lineage: number }> {
  const bundle = bundleOf(owner, key);
  cancel(ctx, owner);
  await ctx.attempts.get(nameOf(owner))?.done;
  const { userId, provider } = owner;
  const { lineage } = await ctx.vault.stage({ userId, provider, sessionId: null, method: 'api_key' }, bundle);
  await ctx.vault.note(owner, { error: null });
  begin(ctx, { userId, provider, lineage });
  return { lineage };
}

function cancel({ attempts }: Attempts, owner: Owner): void {
  attempts.get(nameOf(owner))?.stop.abort(new AppError('aborted', 'The attempt was given up.'));
}

function begin(ctx: Attempts, staged: Staged): void {
  const { attempts, log } = ctx;
  cancel(ctx, staged);
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, ctx.signal]);
  const done = attempt(ctx, staged, signal)
    .catch((error: unknown) => (signal.aborted ? undefined : giveUp(ctx, staged, AppError.from(error))))
    .catch((error: unknown) => log.error({ err: error, ...staged }, 'an API key could not be given up'));
  const mine = {
    stop,
    done: done.finally(() => attempts.get(nameOf(staged)) === mine && attempts.delete(nameOf(staged))),
  };
  attempts.set(nameOf(staged), mine);
}

async function attempt(ctx: Attempts, staged: Staged, signal: AbortSignal): Promise<void> {
  const { vault, vms, log } = ctx;
  const { userId, provider, lineage } = staged;
  const vm = await vms.ensureCli(userId, null, () => undefined, signal);
  signal.throwIfAborted();
  await ctx.deliver(vm.id, staged, signal);
  const proof = await raceAbort(prove(vms, vm.id, staged), signal);
  signal.throwIfAborted();
  if (!proof.ok) {
    // A CLI that the end of its VM has killed has said nothing.
    requireRunning(await vms.get(vm.id), vm.id);
    const hint = 'Check the key at the provider, and set it again.';
    throw proofError(providers[provider], 'the API key', proof, hint);
  }
  await ctx.sync(vm.id);
  await vault.commit(userId, provider, lineage);
  log.info({ userId, provider }, 'API key accepted');
}

/** What was there before comes back into the CLI VM at the next look. */
async function giveUp({ vault, log }: Attempts, staged: Staged, error: AppError): Promise<void> {
  log.warn({ ...staged, code: error.code, reason: error.message }, 'an API key was not taken');
  await vault.discardKey(staged, staged.lineage);
  await vault.note(staged, { error: error.toBody() });
}

const stagedOf = ({ userId, provider, lineage }: CredentialRow): Staged => ({ userId, provider, lineage });

/** The files that a CLI with this key has. @throws AppError provider_unavailable, invalid_request */
function bundleOf({ provider }: Owner, key: string): CredentialBundle {
  const { name, login } = providers[provider];
  if (!login?.apiKey) throw new AppError('provider_unavailable', `${name} cannot be connected by an API key.`);
  if (!isWhole(login.apiKey.key, key)) {
    throw new AppError('invalid_request', `This does not look like an API key of ${providers[provider].vendor}.`, {
      hint: 'Copy the whole key, without quotes or spaces.',
    });
  }
  const files = Array.from(login.apiKey.files(key), ([path, text]) => ({
    path,
    mode: modeOf(login, path),
    contentBase64: Buffer.from(text).toString('base64'),
  }));
  return { provider, files };
}

const isWhole = (pattern: RegExp, key: string): boolean => pattern.exec(key)?.[0] === key;
const modeOf = ({ credentialFiles }: ProviderLogin, path: string): number =>
  credentialFiles.find((file) => file.path === path)?.mode ?? 0o600;
