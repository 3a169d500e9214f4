/** `airlock auth …`: sign-ins. */
import type { Command } from 'commander';
import { SessionList, StartSessionResponse } from '@airlock/contract/api';
import { AppError } from '@airlock/contract/errors';
import { providerIds } from '@airlock/contract/provider/provider';
import { findProvider } from '@airlock/contract/provider/registry';
import { isFinal, Session, type SessionStep } from '@airlock/contract/session';
import { withApi, type Api } from '../lib/api.js';
import { note, print, printJson, table } from '../lib/output.js';
import { signInElsewhere } from './elsewhere.js';
import { sessionEvents } from './events.js';
import { showTrace, type TraceFlags } from './trace.js';

interface Flags {
  json?: boolean;
}

export function addAuth(program: Command): void {
  const auth = program.command('auth').description('Start and follow sign-ins.');
  auth
    .command('start <provider>')
    .description(`Start a sign-in to ${providerIds.join(', ')}; prints the session id.`)
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  airlock auth start codex')
    .action(start);
  addLooks(auth);
  auth
    .command('cancel <session-id>')
    .description('End a sign-in; its browser VM is destroyed.')
    .addHelpText('after', '\nExample:\n  airlock auth cancel ses_0123456789abcdef')
    .action(cancel);
  auth
    .command('extend <session-id>')
    .description('Give the person at a sign-in more time.')
    .addHelpText('after', '\nExample:\n  airlock auth extend ses_0123456789abcdef')
    .action(async (id: string) => {
      const session = await withApi((api) => api.call('POST', `${sessionPath(id)}/extend`, Session));
      print(`${session.id} ${session.status} until ${session.expiresAt ?? 'its end'}`);
    });
  auth
    .command('answer <session-id> <name> <value>')
    .description('Give a sign-in what its CLI asks for, such as the Google Cloud project; it goes on with that.')
    .addHelpText('after', '\nExample:\n  airlock auth answer ses_0123456789abcdef project my-project-123')
    .action(async (id: string, name: string, value: string) => {
      const body = { method: 'browser', settings: { [name]: value } };
      const session = await withApi((api) => api.call('POST', `${sessionPath(id)}/fallback`, Session, { body }));
      print(`${session.id} ${session.status}`);
    });
  auth
    .command('callback <session-id>')
    .description('Sign in with your own browser: prints the page, and reads the address at which it ends.')
    .addHelpText('after', '\nExample:\n  airlock auth callback ses_0123456789abcdef')
    .action(elsewhere);
  auth
    .command('watch <session-id>')
    .description('Follow a sign-in until it ends. Exit code 0 when it completed.')
    .addHelpText('after', '\nExample:\n  airlock auth watch ses_0123456789abcdef')
    .action(async (id: string) => {
      const session = await withApi((api) => watch(api, id));
      if (session.status !== 'completed') process.exitCode = 1;
    });
}

/** What changes nothing. */
function addLooks(auth: Command): void {
  auth
    .command('show <session-id>')
    .description('Show a sign-in with its steps.')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  airlock auth show ses_0123456789abcdef')
    .action(show);
  auth
    .command('list')
    .description('List sign-ins, newest first.')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  airlock auth list --json')
    .action(list);
  auth
    .command('trace <session-id>')
    .description('Show where the time of a sign-in went.')
    .option('--json', 'print JSON: milliseconds from its start')
    .option('--otlp', 'print one export request of OTLP/JSON, for what collects traces')
    .addHelpText('after', '\nExample:\n  airlock auth trace ses_0123456789abcdef')
    .action(async (id: string, flags: TraceFlags) =>
      showTrace(await withApi((api) => api.call('GET', sessionPath(id), Session)), flags),
    );
}

const sessionPath = (id: string): string => `/api/vm/auth/${encodeURIComponent(id)}`;

async function start(provider: string, { json }: Flags): Promise<void> {
  const { notice } = findProvider(provider) ?? {};
  if (notice !== undefined) note(notice);
  const answer = await withApi((api) => api.call('POST', '/api/vm/auth', StartSessionResponse, { body: { provider } }));
  if (json) printJson(answer);
  else print(`${answer.sessionId} ${answer.status}`);
  note(`Follow it with \`airlock auth watch ${answer.sessionId}\`.`);
}

async function cancel(id: string): Promise<void> {
  const options = { timeoutMs: 120_000 };
  const session = await withApi((api) => api.call('POST', `${sessionPath(id)}/cancel`, Session, options));
  print(`${session.id} ${session.status}`);
}

async function elsewhere(id: string): Promise<void> {
  const session = await withApi((api) => signInElsewhere(api, sessionPath(id)));
  print(`${session.id} ${session.status}`);
  note(`Follow it with \`airlock auth watch ${session.id}\`.`);
}

async function show(id: string, { json }: Flags): Promise<void> {
  const session = await withApi((api) => api.call('GET', sessionPath(id), Session));
  if (json) printJson(session);
  else print(describeSession(session));
}

async function list({ json }: Flags): Promise<void> {
  const { sessions } = await withApi((api) => api.call('GET', '/api/vm/auth', SessionList));
  if (json) printJson({ sessions });
  else
    print(
      table(
        ['SESSION', 'PROVIDER', 'STATUS', 'CREATED', 'ERROR'],
        sessions.map((s) => [s.id, s.provider, s.status, s.createdAt, s.error?.code ?? '']),
      ),
    );
}

const marks: Record<SessionStep['status'], string> = {
  waiting: ' ',
  running: '…',
  done: '✓',
  failed: '✗',
  skipped: '-',
};

function describeStep(step: SessionStep): string {
  const took =
    step.startedAt && step.finishedAt
      ? ` (${((Date.parse(step.finishedAt) - Date.parse(step.startedAt)) / 1000).toFixed(1)} s)`
      : '';
  return `${marks[step.status]} ${step.title}${took}${step.detail ? `: ${step.detail}` : ''}`;
}

function describeEnd({ status, error }: Session): string {
  return error ? `${status}: ${error.message}${error.hint ? `\n${error.hint}` : ''}\ncode: ${error.code}` : status;
}

function describeSession(session: Session): string {
  return [`${session.id} ${session.provider}`, ...session.steps.map(describeStep), describeEnd(session)].join('\n');
}

/** Steps of `now` that are to be printed: those whose line differs from the one before. Pure. */
export function changedSteps(before: Session | null, now: Session): string[] {
  const known = new Set(before?.steps.map(describeStep));
  return now.steps
    .filter((step) => step.status !== 'waiting')
    .map(describeStep)
    .filter((line) => !known.has(line));
}

async function watch(api: Api, id: string): Promise<Session> {
  let last: Session | null = null;
  for await (const session of sessionEvents(api, `${sessionPath(id)}/events`)) {
    const time = session.updatedAt.slice(11, 19);
    for (const line of changedSteps(last, session)) print(`${time}  ${line}`);
    if (session.notice && session.notice.message !== last?.notice?.message)
      print(`${time}  ${[session.notice.message, session.notice.hint].filter(Boolean).join('\n')}`);
    last = session;
    if (!isFinal(session.status)) continue;
    print(`${time}  ${describeEnd(session)}`);
    return session;
  }
  throw new AppError('controller_unreachable', `The event stream of ${id} ended before the sign-in did.`);
}
