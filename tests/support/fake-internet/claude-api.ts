/** api.anthropic.com as far as a signed-in `claude` needs it: who the person is, and an answer to a prompt. */
import { randomBytes } from 'node:crypto';
import { claudeAccount, type ClaudeState } from './claude-state.js';
import { isAuthenticated } from './claude-token.js';
import { eventStream, json, jsonOf, type WebRequest, type WebResponse } from './web.js';

export function answerApi(provider: ClaudeState, request: WebRequest): WebResponse {
  const handler = endpoints[`${request.method} ${request.path}`];
  if (handler === undefined) return apiError(404, 'not_found_error', `${request.path} is not simulated.`);
  if (!isAuthenticated(provider, request)) return apiError(401, 'authentication_error', 'Invalid bearer token');
  return handler(provider, request);
}

const endpoints: Record<string, (provider: ClaudeState, request: WebRequest) => WebResponse> = {
  'GET /api/oauth/profile': profile,
  'GET /api/oauth/claude_cli/roles': roles,
  'GET /v1/models': () => json(200, { data: [], has_more: false, first_id: null, last_id: null }),
  'POST /v1/messages': message,
  'POST /v1/messages/count_tokens': () => json(200, { input_tokens: 7 }),
};

function profile({ options }: ClaudeState): WebResponse {
  const { uuid, organizationUuid, organizationName } = claudeAccount;
  return json(200, {
    account: {
      uuid,
      full_name: 'Test Person',
      display_name: 'Test',
      email: options.account.email,
      has_claude_max: true,
      has_claude_pro: false,
      created_at: '2026-01-01T00:00:00Z',
    },
    organization: {
      uuid: organizationUuid,
      name: organizationName,
      organization_type: 'claude_max',
      billing_type: 'stripe_subscription',
      rate_limit_tier: 'default_claude_max_5x',
      has_extra_usage_enabled: false,
    },
  });
}

function roles(): WebResponse {
  const { organizationUuid, organizationName } = claudeAccount;
  return json(200, {
    organization_uuid: organizationUuid,
    organization_name: organizationName,
    organization_role: 'admin',
    workspace_uuid: null,
    workspace_name: null,
    workspace_role: null,
  });
}

/** What is answered to a prompt: its own words, so that a test knows that they arrived. */
export const claudeReplyTo = (prompt: string): string => `Simulated Claude heard: ${prompt}`;

/** POST /v1/messages: the answer as one JSON document, or word by word when a stream is asked for. */
function message(provider: ClaudeState, request: WebRequest): WebResponse {
  const body = jsonOf(request);
  const reply = claudeReplyTo(lastWords(body['messages']));
  provider.counts.messages += 1;
  const envelope = {
    id: `msg_${randomBytes(12).toString('hex')}`,
    type: 'message',
    role: 'assistant',
    model: body['model'],
    stop_sequence: null,
  };
  const usage = { input_tokens: 7, output_tokens: 7, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 };
  if (body['stream'] !== true)
    return json(200, { ...envelope, content: [{ type: 'text', text: reply }], stop_reason: 'end_turn', usage });
  const words = reply.split(/(?<= )/);
  return eventStream([
    { type: 'message_start', message: { ...envelope, content: [], stop_reason: null, usage } },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    ...words.map((text) => ({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } })),
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 7 } },
    { type: 'message_stop' },
  ]);
}

/** The last text that the person wrote, without what the CLI adds in tags. */
function lastWords(messages: unknown): string {
  const list = Array.isArray(messages) ? (messages as { role?: unknown; content?: unknown }[]) : [];
  const content = list.findLast(({ role }) => role === 'user')?.content;
  if (typeof content === 'string') return content;
  const blocks = Array.isArray(content) ? (content as { type?: unknown; text?: unknown }[]) : [];
  const texts = blocks.flatMap(({ text }) => (typeof text === 'string' && !text.startsWith('<') ? [text] : []));
  return texts.at(-1) ?? '';
}

function apiError(status: number, type: string, text: string): WebResponse {
  return json(status, { type: 'error', error: { type, message: text } });
}
