/**
 * Sign-in by device code at the simulated OpenAI, as `codex login --device-auth` does it: the CLI asks for a code and polls;
 * the person logs in on any device and types the code there; the CLI gets an authorization code with its PKCE verifier.
 */
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { openAi } from './codex-authorize.js';
import { codexClientId, codexDeviceRedirectUri, type CodexState } from './codex-state.js';
import { deviceCodePage, deviceDonePage, errorPage } from './pages.js';
import { formOf, html, json, jsonOf, type WebRequest, type WebResponse } from './web.js';

/** No letter or digit that can be taken for another. */
const codeLetters = 'BCDFGHJKLMNPQRSTVWXZ23456789';
const letters = (count: number): string =>
  Array.from({ length: count }, () => codeLetters[randomInt(codeLetters.length)]).join('');

/** POST /api/accounts/deviceauth/usercode */
export function issueUserCode(provider: CodexState, request: WebRequest): WebResponse {
  const body = jsonOf(request);
  if (body['client_id'] !== codexClientId) return json(401, { error: 'Unknown client_id.' });
  const id = `deviceauth_${randomBytes(16).toString('hex')}`;
  const userCode = `${letters(4)}-${letters(5)}`;
  provider.devices.set(id, { userCode, expiresAt: Date.now() + 15 * 60_000, approved: false });
  provider.counts.deviceCodesIssued += 1;
  const expires = new Date(Date.now() + 15 * 60_000).toISOString();
  return json(200, { device_auth_id: id, user_code: userCode, interval: '1', expires_at: expires });
}

/** POST /api/accounts/deviceauth/token: 403 until the person has typed the code. */
export function pollDevice(provider: CodexState, request: WebRequest): WebResponse {
  const body = jsonOf(request);
  const id = String(body['device_auth_id']);
  const device = provider.devices.get(id);
  if (device === undefined || device.userCode !== body['user_code'] || device.expiresAt < Date.now())
    return json(404, { error: 'Unknown device.' });
  if (!device.approved) return json(403, { error: 'authorization_pending' });
  provider.devices.delete(id);
  const verifier = randomBytes(48).toString('base64url');
  const codeChallenge = createHash('sha256').update(verifier).digest('base64url');
  const code = provider.codes.issue({ redirectUri: codexDeviceRedirectUri, state: '', codeChallenge });
  return json(200, { authorization_code: code, code_challenge: codeChallenge, code_verifier: verifier });
}

/** GET /codex/device: the page that the person opens on another device; first they log in. */
export function startDevicePage(provider: CodexState): WebResponse {
  return provider.pages.beginElsewhere('/codex/device/code');
}

/** GET /codex/device/code */
export function showDeviceCode(provider: CodexState, { query }: WebRequest): WebResponse {
  const challenge = query.get('challenge') ?? '';
  if (!provider.pages.isLoggedIn(challenge)) return html(400, errorPage(openAi, 'Log in first.'));
  return html(200, deviceCodePage({ challenge }));
}

/** POST /codex/device/code */
export function enterDeviceCode(provider: CodexState, request: WebRequest): WebResponse {
  const form = formOf(request);
  const challenge = form.get('challenge') ?? '';
  if (!provider.pages.isLoggedIn(challenge)) return html(400, errorPage(openAi, 'Log in first.'));
  const typed = (form.get('user_code') ?? '').trim().toUpperCase();
  const device = [...provider.devices.values()].find((one) => one.userCode === typed && one.expiresAt > Date.now());
  if (device === undefined) return html(400, deviceCodePage({ challenge, error: 'That code is not right' }));
  provider.pages.end(challenge);
  device.approved = true;
  provider.counts.devicesApproved += 1;
  return html(200, deviceDonePage());
}
