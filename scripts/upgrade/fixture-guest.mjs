/**
 * What the controller of a landed version says to agents, with its own config drive and in its own words, and what its agent answers.
 * The calls are those of its packages/controller/src/{session,credential,prompt,vm} and packages/runner/src/guest.
 */
import { join } from 'node:path';

const token = 'agent-token-for-tests-0123456789abcdef';
const vmId = 'vm_0123456789abcdef';
/** Says what Codex says; its logins wait for the person. */
const codex = `#!/bin/sh
case "$*" in
  --version) echo 'codex-cli 1.2.3';;
  'login status') echo 'Logged in using ChatGPT';;
  'login --device-auth') echo 'Open https://auth.openai.com/codex/device and type ABCD-12345'; exec sleep 60;;
  login) echo 'Open https://auth.openai.com/oauth/authorize?state=1 '; exec sleep 60;;
  exec*) cat >/dev/null; echo '{"type":"item.completed","item":{"type":"agent_message","text":"Hello"}}'; exit 3;;
esac
`;
const auth = JSON.stringify({ tokens: { id_token: 'id', access_token: 'access', refresh_token: 'refresh' } });

/** @param {(path: string) => Promise<any>} load of the landed version's modules @param {string} checkout */
export async function recordGuest(load, checkout) {
  const contract = await load('packages/contract/dist/guest.js');
  const { encodeSlot } = await load('packages/contract/dist/config-drive.js');
  const { callAgent, packSlot } = await import('../../tests/dist/support/guest-calls.js');
  const program = join(checkout, 'packages/guest-agent/dist/agent.cjs');
  const programs = { codex };
  const slot = (generation, kind, more = {}) => {
    const config = contract.GuestConfig.parse({ ...configOf(kind), ...more });
    return packSlot(encodeSlot({ generation, config }));
  };
  const agents = [];
  for (const calls of [callsInBrowserVm(contract, slot), callsInCliVm(contract, slot)]) {
    agents.push({ token, calls: await callAgent(program, programs, { token, calls }) });
  }
  return { programs, agents };
}

const configOf = (kind) => ({
  ...{ version: 1, vmId, kind, sessionId: kind === 'browser' ? 'ses_0123456789abcdef' : null, hostname: 'airlock' },
  ...{ timezone: 'Etc/UTC', epochMs: Date.UTC(2026, 10, 26), entropy: Buffer.alloc(64, 7).toString('base64') },
  ...{ agentToken: token, vncPassword: kind === 'browser' ? 'vncpass1' : null, homeKey: null, extraCaPem: null },
});

function callsInBrowserVm({ LoginRequest, LoginInput }, slot) {
  const login = (method) => LoginRequest.parse({ provider: 'codex', method });
  return [
    { slot: slot(1, 'browser'), method: 'GET', path: '/health' },
    { method: 'GET', path: '/login' },
    { method: 'POST', path: '/login', body: login('browser') },
    { method: 'POST', path: '/login', body: login('browser') },
    { method: 'GET', path: '/login', untilState: 'browser_opened' },
    { method: 'POST', path: '/login/input', body: LoginInput.parse({ code: 'ABCD' }) },
    { method: 'DELETE', path: '/login' },
    { method: 'DELETE', path: '/credentials/codex' },
    { method: 'POST', path: '/login', body: login('device_code') },
    { method: 'GET', path: '/login', untilState: 'browser_opened' },
    { method: 'GET', path: '/credentials/codex' },
    { method: 'DELETE', path: '/login' },
  ];
}

function callsInCliVm({ CredentialBundle, PromptRequest }, slot) {
  const contentBase64 = Buffer.from(auth).toString('base64');
  const files = [{ path: '.codex/auth.json', mode: 0o600, contentBase64 }];
  const prompt = PromptRequest.parse({ provider: 'codex', prompt: 'Say hello', timeoutMs: 30_000 });
  const check = (name) => ({ method: 'POST', path: `/checks/${name}` });
  return [
    { slot: slot(1, 'cli'), method: 'GET', path: '/health' },
    { method: 'GET', path: '/credentials' },
    { method: 'POST', path: '/prompts', body: prompt },
    {
      ...{ method: 'PUT', path: '/credentials/codex?generation=1' },
      body: CredentialBundle.parse({ provider: 'codex', files }),
    },
    { method: 'GET', path: '/credentials' },
    { method: 'GET', path: '/credentials/codex' },
    ...['proof_codex', 'version_codex', 'node'].map(check),
    { method: 'POST', path: '/prompts', body: prompt },
    { method: 'POST', path: '/prompts', body: PromptRequest.parse({ ...prompt, cwd: 'a/b' }) },
    { slot: slot(2, 'cli', { timezone: 'Asia/Tokyo' }), method: 'POST', path: '/config/reload' },
    { method: 'DELETE', path: '/credentials/codex' },
    { method: 'GET', path: '/credentials/codex' },
  ];
}
