/**
 * A whole internet on loopback for tests: an upstream proxy with a password, TLS ended with a CA made for this run, and
 * simulated hosts behind it. Nothing it is asked for ever leaves the machine: an unknown host gets a 502 and is recorded.
 */
import { generateCACertificate, getLocal, type CompletedRequest, type Mockttp } from 'mockttp';
import { createClaudeProvider, type ClaudeProvider } from './fake-internet/claude-provider.js';
import { createCodexProvider, type CodexProvider } from './fake-internet/codex-provider.js';
import { createGoogleProvider, type GoogleProvider } from './fake-internet/google-provider.js';
import type { Account } from './fake-internet/sign-in-pages.js';
import type { CodexProviderOptions } from './fake-internet/codex-state.js';
import { openStreamServer } from './fake-internet/stream-server.js';
import { openUpstreamProxy, type UpstreamProxy, type UpstreamUse } from './fake-internet/upstream-proxy.js';
import { html, text, type HostHandler, type WebResponse } from './fake-internet/web.js';

export { css, pageColours } from './fake-internet/colours.js';

export interface FakeInternetOptions {
  /** One port to listen on; 0 (the default) chooses a free one. */
  port?: number;
  /** Several ports instead, because each user has an own upstream port. */
  ports?: readonly number[];
  userName?: string;
  password?: string;
  /** The only account at the providers. */
  account?: Account;
  /** Text that every token contains; base64url characters only. */
  canaryToken?: string;
  /** How the simulated OpenAI behaves. */
  codex?: Pick<CodexProviderOptions, 'apiKey' | 'model'>;
  /** Further hosts, or other answers for known ones. */
  hosts?: Record<string, HostHandler>;
  /** Called with each request once it is answered. */
  onRequest?: (request: SeenRequest) => void;
}

/** One request that reached the fake internet; no bodies, no queries, no headers. */
export interface SeenRequest {
  /** Upstream port by which it came. */
  port: number | undefined;
  method: string;
  scheme: string;
  host: string;
  path: string;
  status: number;
}

export interface FakeInternet {
  /** The first port, and all of them. */
  port: number;
  ports: number[];
  userName: string;
  password: string;
  account: Account;
  canaryToken: string;
  /** The test CA, to be trusted by whatever is tested. */
  caPem: string;
  requests: SeenRequest[];
  /** Every use of the upstream proxy, refused ones too. */
  upstreamUses: UpstreamUse[];
  claudeProvider: ClaudeProvider;
  codexProvider: CodexProvider;
  googleProvider: GoogleProvider;
  /** `http://USER:PASS@127.0.0.1:PORT` */
  upstreamUrl(port?: number): string;
  /** The same with the literal `{port}`: a value for AIRLOCK_UPSTREAM_PROXY. */
  upstreamTemplate: string;
  close(): Promise<void>;
}

/** Starts it; everything is listening when this resolves. @throws EADDRINUSE when a wanted port is taken. */
export async function createFakeInternet(options: FakeInternetOptions = {}): Promise<FakeInternet> {
  const {
    userName = 'airlock',
    password = 'upstream-password',
    account = { email: 'ada@example.com', password: 'correct horse' },
    canaryToken = 'canary-token',
  } = options;
  const claudeProvider = createClaudeProvider({ account, canaryToken });
  const codexProvider = createCodexProvider({ account, canaryToken, ...options.codex });
  const googleProvider = createGoogleProvider({ account, canaryToken });
  const hosts: Record<string, HostHandler> = {
    ...claudeProvider.hosts,
    ...codexProvider.hosts,
    ...googleProvider.hosts,
    ...curlHosts,
    ...options.hosts,
  };
  const ca = await generateCACertificate({
    subject: { commonName: 'Airlock test CA', organizationName: 'Airlock tests' },
  });
  const interceptor = getLocal({ https: ca, cors: false, recordTraffic: false, suggestChanges: false });
  await interceptor.start();
  const proxy = await openUpstreamProxy({
    ports: options.ports ?? [options.port ?? 0],
    userName,
    password,
    interceptorPort: interceptor.port,
  }).catch(async (error: unknown) => {
    await interceptor.stop();
    throw error;
  });
  const requests: SeenRequest[] = [];
  const onRequest = (request: SeenRequest): void => {
    requests.push(request);
    options.onRequest?.(request);
  };
  const streams = await openStreamServer(interceptor, {
    handlers: codexProvider.streams,
    onRequest: ({ hostname: host, pathname: path }, remotePort) =>
      onRequest({ port: proxy.portOf(remotePort), method: 'POST', scheme: 'https', host, path, status: 200 }),
  });
  // A CLI that would rather have a WebSocket takes HTTP at this answer.
  await interceptor.forAnyWebSocket().thenRejectConnection(426, 'Upgrade Required');
  await answerAll(interceptor, proxy, hosts, onRequest);
  const [port] = proxy.ports as [number, ...number[]];
  const login = `${encodeURIComponent(userName)}:${encodeURIComponent(password)}`;
  return {
    port,
    ports: proxy.ports,
    userName,
    password,
    account,
    canaryToken,
    caPem: ca.cert,
    requests,
    claudeProvider,
    codexProvider,
    googleProvider,
    upstreamUses: proxy.uses,
    upstreamUrl: (ofPort = port) => `http://${login}@127.0.0.1:${ofPort}`,
    upstreamTemplate: `http://${login}@127.0.0.1:{port}`,
    close: async () => {
      await proxy.close();
      await streams.close();
      await interceptor.stop();
    },
  };
}

/** Hosts that need no more than a page: success criterion 7 is `curl https://claude.ai`. */
const curlHosts: Record<string, HostHandler> = {
  'claude.ai': () => html(200, '<!doctype html><title>Claude</title><h1>Claude (simulated)</h1>'),
};

async function answerAll(
  interceptor: Mockttp,
  proxy: UpstreamProxy,
  hosts: Record<string, HostHandler>,
  onRequest: (request: SeenRequest) => void,
): Promise<void> {
  await interceptor.forUnmatchedRequest().thenCallback(async (request) => {
    const url = new URL(request.url);
    const answer = await respond(hosts[url.hostname], request, url);
    onRequest({
      port: proxy.portOf(request.remotePort),
      method: request.method,
      scheme: url.protocol.slice(0, -1),
      host: url.hostname,
      path: url.pathname,
      status: answer.status,
    });
    return { statusCode: answer.status, headers: answer.headers, body: answer.body };
  });
}

async function respond(handler: HostHandler | undefined, request: CompletedRequest, url: URL): Promise<WebResponse> {
  if (handler === undefined) return text(502, `Fake internet: no host ${url.hostname} is simulated.`);
  return handler({
    method: request.method,
    host: url.hostname,
    path: url.pathname,
    query: url.searchParams,
    headers: request.headers,
    body: (await request.body.getText()) ?? '',
  });
}
