/**
 * What `codex exec` asks of OpenAI: which account it is, and the model, by server-sent events. Every call needs a token that the
 * token endpoint gave out, or the API key. Observed with @openai/codex 0.169; other calls are refused, which it bears.
 */
import { codexAccountId, type CodexState } from './codex-state.js';
import { bearerOf, json, text, type StreamHandler, type WebRequest, type WebResponse } from './web.js';

/** The model: the messages that answer a prompt, one after the other. `gone` fires when the CLI hangs up. */
export type CodexModel = (prompt: string, gone: AbortSignal) => AsyncIterable<string> | Iterable<string>;

export const echoModel: CodexModel = (prompt) => [`You said: ${prompt}`];

const refused: WebResponse = json(401, { error: { message: 'The token is not valid.', code: 'token_invalidated' } });

/** `GET https://chatgpt.com/backend-api/…` */
export function answerBackend(state: CodexState, request: WebRequest): WebResponse {
  if (state.refusesLogins || !state.accessTokens.has(bearerOf(request))) return refused;
  if (request.path === '/backend-api/codex/models') return json(200, { models: [] });
  if (request.path !== '/backend-api/wham/accounts/check') return text(404, `${request.path} is not simulated.`);
  const routing = { workspace_backend_origin: 'https://chatgpt.com', account_routing_override: 'NO_CONSTRAINT' };
  return json(200, { accounts: [{ id: codexAccountId, ...routing }] });
}

/** The model's endpoint, by ChatGPT login and by API key. */
export function modelHandlers(state: CodexState): Record<string, StreamHandler> {
  const handler =
    (tokens: ReadonlySet<string>): StreamHandler =>
    (request, gone) => {
      if (!tokens.has(bearerOf(request))) return { ...refused, pieces: [refused.body] };
      const prompt = promptOf(request.body);
      state.prompts.push(prompt);
      return {
        status: 200,
        headers: { 'content-type': 'text/event-stream' },
        pieces: events(state.options.model?.(prompt, gone) ?? echoModel(prompt, gone)),
      };
    };
  return {
    'https://chatgpt.com/backend-api/codex/responses': handler(state.accessTokens),
    'https://api.openai.com/v1/responses': handler(state.apiKeys),
  };
}

interface Message {
  role?: string;
  content?: readonly { type: string; text?: string }[];
}

/** What the person said last. */
function promptOf(body: string): string {
  const { input } = JSON.parse(body) as { input: readonly Message[] };
  const said = input.filter(({ role }) => role === 'user').at(-1)?.content ?? [];
  return said.map((part) => part.text ?? '').join('');
}

async function* events(messages: AsyncIterable<string> | Iterable<string>): AsyncGenerator<string> {
  const event = (type: string, more: object): string =>
    `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;
  const response = { id: 'resp_simulated' };
  yield event('response.created', { response });
  let index = 0;
  for await (const message of messages) {
    index += 1;
    const item = { type: 'message', role: 'assistant', id: `msg_${index}` };
    yield event('response.output_item.added', { item: { ...item, content: [] } });
    yield event('response.output_text.delta', { delta: message });
    yield event('response.output_item.done', { item: { ...item, content: [{ type: 'output_text', text: message }] } });
  }
  const tokens = { input_tokens: 1, input_tokens_details: null, output_tokens: 1, output_tokens_details: null };
  yield event('response.completed', { response: { ...response, usage: { ...tokens, total_tokens: 2 } } });
}
