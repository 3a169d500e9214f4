/**
 * cloudcode-pa.googleapis.com, which a signed-in `gemini` talks to: who the person is (loadCodeAssist, onboardUser with its
 * long-running operation) and generated content. Everything needs a live access token.
 */
import { randomUUID } from 'node:crypto';
import type { GoogleState } from './google-state.js';
import { licensedTier, ownProjectTier, refusals } from './google-eligibility.js';
import { isAuthenticated, unauthenticated } from './google-token.js';
import { json, type WebRequest, type WebResponse } from './web.js';

const project = 'fake-code-assist-project';

/** What is done in `/v1internal:<method>`. */
const methods: Record<string, (provider: GoogleState, request: WebRequest) => WebResponse> = {
  loadCodeAssist,
  onboardUser,
  generateContent: (provider, request) => json(200, answerTo(provider, request)),
  streamGenerateContent: stream,
  countTokens: () => json(200, { totalTokens: 7 }),
  listExperiments: () => json(200, { experimentIds: [], flags: [] }),
  retrieveUserQuota: () => json(200, { buckets: [] }),
  fetchAdminControls: () => json(200, {}),
  recordCodeAssistMetrics: () => json(200, {}),
};

export function answerCodeAssist(provider: GoogleState, request: WebRequest): WebResponse {
  if (!isAuthenticated(provider, request)) return unauthenticated();
  const operation = /^\/v1internal\/(operations\/[\w-]+)$/.exec(request.path)?.[1];
  if (operation !== undefined) return operationState(provider, operation);
  const method = methods[/^\/v1internal:(\w+)$/.exec(request.path)?.[1] ?? ''];
  return method?.(provider, request) ?? notSimulated(request);
}

function loadCodeAssist(provider: GoogleState, request: WebRequest): WebResponse {
  const named = bodyOf(request)['cloudaicompanionProject'];
  const ineligibleTiers = refusals[provider.standing];
  if (ineligibleTiers) return json(200, { allowedTiers: [ownProjectTier], ineligibleTiers, gcpManaged: false });
  if (provider.standing === 'workspace') {
    const own = typeof named === 'string' ? { cloudaicompanionProject: named } : {};
    return json(200, { allowedTiers: [ownProjectTier], currentTier: ownProjectTier, ...own, gcpManaged: true });
  }
  const allowed = { allowedTiers: [licensedTier], gcpManaged: false };
  if (!provider.onboarded) return json(200, allowed);
  return json(200, { ...allowed, currentTier: licensedTier, cloudaicompanionProject: project });
}

function onboardUser(provider: GoogleState, request: WebRequest): WebResponse {
  if (bodyOf(request)['tierId'] !== licensedTier.id) return badRequest('tierId is unknown.');
  if (provider.standing !== 'licensed')
    return json(200, { name: `operations/${randomUUID()}`, done: true, response: {} });
  provider.counts.onboardings += 1;
  const name = `operations/${randomUUID()}`;
  provider.operations.set(name, 0);
  return json(200, { name });
}

/** An onboarding is done when it is asked for. */
function operationState(provider: GoogleState, name: string): WebResponse {
  const asked = provider.operations.get(name);
  if (asked === undefined) return notFound(`Operation ${name} is unknown.`);
  provider.operations.set(name, asked + 1);
  provider.onboarded = true;
  return json(200, { name, done: true, response: { cloudaicompanionProject: { id: project, name: project } } });
}

/** The words of the last thing that the person said; what the CLI tells of itself stands before them, in parts of its own. */
export function promptOf(contents: unknown): string {
  const last: unknown = Array.isArray(contents) ? contents.at(-1) : contents;
  const parts: unknown = isRecord(last) ? last['parts'] : undefined;
  const texts = (Array.isArray(parts) ? parts : []).map((part: unknown) => (isRecord(part) ? part['text'] : undefined));
  return texts.findLast((text) => typeof text === 'string') ?? '';
}

/** One whole answer; a request for JSON (the CLI asks which model to take) gets an object. */
export function replyTo(request: Record<string, unknown>): Record<string, unknown> {
  const config = request['generationConfig'];
  const wantsJson = isRecord(config) && config['responseMimeType'] === 'application/json';
  const reply = wantsJson
    ? JSON.stringify({
        reasoning: 'simple',
        model_choice: 'flash',
        complexity_score: 1,
        complexity_reasoning: 'simple',
      })
    : `You said: ${promptOf(request['contents']).slice(-200)}`;
  return {
    candidates: [{ index: 0, finishReason: 'STOP', content: { role: 'model', parts: [{ text: reply }] } }],
    usageMetadata: { promptTokenCount: 7, candidatesTokenCount: 5, totalTokenCount: 12 },
    modelVersion: 'fake-model',
  };
}

function answerTo(provider: GoogleState, request: WebRequest): Record<string, unknown> {
  provider.counts.prompts += 1;
  const inner = bodyOf(request)['request'];
  return { response: replyTo(isRecord(inner) ? inner : {}), traceId: 'fake-trace' };
}

function stream(provider: GoogleState, request: WebRequest): WebResponse {
  return eventStream([answerTo(provider, request)]);
}

/** Server-sent events, each a JSON document. */
export function eventStream(events: readonly unknown[]): WebResponse {
  const body = events.map((event) => `data: ${JSON.stringify(event)}\r\n\r\n`).join('');
  return { status: 200, headers: { 'content-type': 'text/event-stream' }, body };
}

export function bodyOf(request: WebRequest): Record<string, unknown> {
  const value: unknown = request.body === '' ? {} : JSON.parse(request.body);
  return isRecord(value) ? value : {};
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const apiError = (code: number, status: string, message: string): WebResponse =>
  json(code, { error: { code, message, status } });
const badRequest = (message: string): WebResponse => apiError(400, 'INVALID_ARGUMENT', message);
const notFound = (message: string): WebResponse => apiError(404, 'NOT_FOUND', message);
const notSimulated = ({ path }: WebRequest): WebResponse => notFound(`${path} is not simulated.`);
