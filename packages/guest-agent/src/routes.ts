/** The routes of the protocol in the contract's guest.ts, on top of the parts that do the work. */
import { DesktopPaste, DesktopSize, DesktopTyping } from '@airlock/contract/desktop';
import { AppError } from '@airlock/contract/errors';
import {
  CheckName,
  ClockMove,
  CredentialBundle,
  LoginInput,
  LoginRequest,
  PromptRequest,
  type CheckResult,
  type GuestHealth,
} from '@airlock/contract/guest';
import type { ProviderId } from '@airlock/contract/provider/provider';
import { requireProvider } from '@airlock/contract/provider/registry';
import type { z } from 'zod';
import type { Custody } from './credential/custody.js';
import type { CredentialStore } from './credential/store.js';
import type { Desktop } from './desktop/desktop.js';
import type { Answer, Route } from './http.js';
import type { Login } from './login/login.js';
import type { Prompts } from './prompt/prompts.js';

export interface RouteDeps {
  health: () => GuestHealth;
  /** Reads the config drive again and applies what is new. */
  reload: () => Promise<void>;
  login: Login;
  desktop: Pick<Desktop, 'paste' | 'type' | 'copied' | 'resize'>;
  credentials: CredentialStore;
  custody: Custody;
  check: (name: CheckName) => Promise<CheckResult>;
  prompts: Pick<Prompts, 'start'>;
  moveClock: (byMs: number) => Promise<void>;
  powerOff: () => void;
}

const ok = (json: unknown): Answer => ({ status: 200, json });
const noContent: Answer = { status: 204 };

function parse<T extends z.ZodType>(schema: T, body: unknown, what: string): z.infer<T> {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  // Zod's messages describe the expectation and never quote the value, which may be a secret.
  const problems = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`);
  throw new AppError('invalid_request', `The body is not a ${what}: ${problems.join('; ')}.`);
}

function checkOf(name: string): CheckName {
  const parsed = CheckName.safeParse(name);
  if (parsed.success) return parsed.data;
  throw new AppError('not_found', `No check is called "${name}"; expected ${CheckName.options.join(', ')}.`);
}

function bundleFor(provider: ProviderId, body: unknown): CredentialBundle {
  const bundle = parse(CredentialBundle, body, 'credential bundle');
  if (bundle.provider === provider) return bundle;
  throw new AppError('invalid_request', `The bundle is of ${bundle.provider}, but the path says ${provider}.`);
}

export function createRoutes(deps: RouteDeps): Route[] {
  return [
    ...vmRoutes(deps),
    ...loginRoutes(deps),
    ...desktopRoutes(deps),
    ...credentialRoutes(deps),
    ...cliRoutes(deps),
  ];
}

function vmRoutes({ health, reload, moveClock, powerOff }: RouteDeps): Route[] {
  return [
    { method: 'GET', path: /^\/health$/, body: false, handle: () => ok(health()) },
    {
      method: 'POST',
      path: /^\/config\/reload$/,
      body: false,
      handle: async () => {
        await reload();
        return ok(health());
      },
    },
    { method: 'GET', path: /^\/clock$/, body: false, handle: () => ok({ epochMs: Date.now() }) },
    {
      method: 'POST',
      path: /^\/clock$/,
      body: true,
      handle: async (_, body) => {
        await moveClock(parse(ClockMove, body, 'move of the clock').byMs);
        return noContent;
      },
    },
    {
      method: 'POST',
      path: /^\/power-off$/,
      body: false,
      handle: () => ({ ...noContent, afterwards: powerOff }),
    },
  ];
}

function loginRoutes({ login }: RouteDeps): Route[] {
  return [
    {
      method: 'POST',
      path: /^\/login$/,
      body: true,
      handle: (_, body) => {
        const { provider, method, settings } = parse(LoginRequest, body, 'login request');
        return { status: 202, json: login.start(provider, method, settings) };
      },
    },
    {
      method: 'POST',
      path: /^\/login\/input$/,
      body: true,
      handle: async (_, body) => ok(await login.input(parse(LoginInput, body, 'login input').code)),
    },
    { method: 'GET', path: /^\/login$/, body: false, handle: () => ok(login.status()) },
    { method: 'GET', path: /^\/login\/terminal$/, body: false, handle: () => ok(login.terminal()) },
    {
      method: 'DELETE',
      path: /^\/login$/,
      body: false,
      handle: async () => {
        await login.stop();
        return ok(login.status());
      },
    },
  ];
}

/** What a person does with the desktop besides RFB. */
function desktopRoutes({ desktop }: RouteDeps): Route[] {
  return [
    {
      method: 'POST',
      path: /^\/desktop\/paste$/,
      body: true,
      handle: async (_, body) => ok(await desktop.paste(parse(DesktopPaste, body, 'text to paste'))),
    },
    {
      method: 'POST',
      path: /^\/desktop\/type$/,
      body: true,
      handle: async (_, body) => {
        await desktop.type(parse(DesktopTyping, body, 'text to type').text);
        return noContent;
      },
    },
    { method: 'GET', path: /^\/desktop\/copied$/, body: false, handle: async () => ok(await desktop.copied()) },
    {
      method: 'POST',
      path: /^\/desktop\/size$/,
      body: true,
      handle: async (_, body) => {
        await desktop.resize(parse(DesktopSize, body, 'size of a desktop'));
        return noContent;
      },
    },
  ];
}

function credentialRoutes({ credentials, custody }: RouteDeps): Route[] {
  const credentialPath = /^\/credentials\/([A-Za-z0-9_-]{1,64})$/;
  return [
    { method: 'GET', path: /^\/credentials$/, body: false, handle: async () => ok(await custody.list()) },
    {
      method: 'GET',
      path: credentialPath,
      body: false,
      handle: async (name) => ok(await credentials.read(requireProvider(name).id)),
    },
    {
      method: 'PUT',
      path: /^\/credentials\/([A-Za-z0-9_-]{1,64}(?:\?generation=[1-9]\d{0,8})?)$/,
      body: true,
      handle: async (target, body) => {
        const [name = '', generation] = target.split('?generation=');
        const bundle = bundleFor(requireProvider(name).id, body);
        await custody.deliver(bundle, generation === undefined ? null : Number(generation));
        return noContent;
      },
    },
    {
      method: 'DELETE',
      path: credentialPath,
      body: false,
      handle: async (name) => {
        await custody.remove(requireProvider(name).id);
        return noContent;
      },
    },
  ];
}

/** What runs a CLI to its end. */
function cliRoutes({ check, prompts }: RouteDeps): Route[] {
  return [
    {
      method: 'POST',
      path: /^\/checks\/([A-Za-z0-9_-]{1,64})$/,
      body: false,
      handle: async (name) => ok(await check(checkOf(name))),
    },
    {
      method: 'POST',
      path: /^\/prompts$/,
      body: true,
      handle: async (_, body) => ({
        status: 200,
        lines: await prompts.start(parse(PromptRequest, body, 'prompt request')),
      }),
    },
  ];
}
