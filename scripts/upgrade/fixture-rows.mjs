/**
 * The database of an upgrade fixture: a user for each state that a CLI VM can be in, browser VMs and sign-ins in every state, and
 * credentials as sign-ins, refreshes, API keys and removals leave them. Speaks the schema of the version that is landed; when
 * the schema moves on, this file moves with it, and the fixtures that it made before stay as they are.
 */

import { createHash } from 'node:crypto';

/** Ids that tell what they are for: the letters that ids do not have are left out. */
const id = (prefix, name) =>
  `${prefix}_${name
    .replace(/[^0-9a-hjkmnp-tv-z]/g, '')
    .padEnd(16, '0')
    .slice(0, 16)}`;
/** With what ada calls the API. */
const adaToken = 'ada-token-for-tests';
const at = (minutes) => new Date(Date.UTC(2026, 10, 26, 12, minutes));
const timings = { vncMs: 19_500, agentMs: 18_000, readyMs: 41_000 };
const error = { code: 'vm_lost', message: 'The VM ended while no controller was running.', hint: '' };

/** One user each, because a user has one CLI VM that is not gone. */
const cliVms = [
  { name: 'ada', state: 'running', lastUsedAt: at(30) },
  { name: 'bob', state: 'stopped' },
  { name: 'cyd', state: 'creating' },
  { name: 'dan', state: 'starting' },
  { name: 'eve', state: 'stopping' },
  { name: 'fay', state: 'destroying', destroyAt: at(40) },
  { name: 'gem', state: 'failed', error, keyless: true },
  { name: 'hap', state: 'destroyed', destroyAt: at(41), keyless: true },
];
const browserVms = [
  { state: 'creating', destroyAt: null },
  { state: 'starting', destroyAt: null },
  { state: 'running', destroyAt: at(90) },
  { state: 'destroying', destroyAt: at(42) },
  { state: 'failed', destroyAt: null, error },
  { state: 'destroyed', destroyAt: at(43) },
];
const openStatuses = ['pending', 'vm_created', 'ready', 'awaiting_user_auth', 'authenticating', 'delivering'];
const endedStatuses = ['completed', 'failed', 'timeout', 'cancelled'];
const providers = ['codex', 'claude_code', 'gemini_cli'];

const userId = (name) => id('usr', name);
const cliVmId = (name) => id('vm', `c${name}`);
const homeKey = (position) => Buffer.alloc(64, position + 1).toString('base64');

/**
 * Fills the tables of `store` and answers every secret in them in the clear: none is a real one.
 * @param {{db: any}} store @param {any} vault @param {any} ring @param {any} tables @param {() => any[]} newSteps
 */
export async function fill({ store, vault, ring, tables, newSteps }) {
  const { db } = store;
  await addUsers(db, tables);
  const homeKeys = await addCliVms(db, tables, ring);
  await addBrowserVms(db, tables);
  await addSessions(db, tables, newSteps);
  await addTokens(db, tables);
  const credentials = await addCredentials(vault);
  return { token: adaToken, homeKeys, credentials };
}

async function addUsers(db, { users }) {
  const names = cliVms.map(({ name }) => name);
  await db.insert(users).values([
    { id: userId('admin'), name: 'admin', role: 'admin', proxyPort: 10001, createdAt: at(0) },
    ...names.map((name, i) => ({
      ...{ id: userId(name), name, role: 'user', proxyPort: 10002 + i, createdAt: at(1) },
      tokenHash: name === 'ada' ? createHash('sha256').update(adaToken).digest('hex') : null,
    })),
  ]);
}

async function addCliVms(db, { vms, homeKeys }, ring) {
  const keys = [];
  for (const [position, { name, keyless = false, ...row }] of cliVms.entries()) {
    const vmId = cliVmId(name);
    await db.insert(vms).values({
      ...{ id: vmId, userId: userId(name), kind: 'cli', imageId: 'img_000000', accel: 'tcg', epoch: 1, timings },
      ...{ createdAt: at(10 + position), readyAt: row.state === 'running' ? at(20) : null, ...row },
    });
    if (!keyless) keys.push({ vmId, key: homeKey(position) });
  }
  await ring.sealing(async (seal) => {
    for (const { vmId, key } of keys) {
      await db.insert(homeKeys).values({ vmId, sealed: await seal(`home/${vmId}`, key) });
    }
  });
  return keys;
}

async function addBrowserVms(db, { vms }) {
  await db.insert(vms).values(
    browserVms.map((row) => ({
      ...{ id: id('vm', `b${row.state}`), userId: userId('ada'), kind: 'browser', imageId: 'img_000000', accel: 'tcg' },
      ...{ sessionId: id('ses', row.state), epoch: 1, timings, createdAt: at(25) },
      ...row,
    })),
  );
}

async function addSessions(db, { authSessions }, newSteps) {
  const common = { steps: newSteps(), createdAt: at(25), updatedAt: at(26) };
  const login = {
    ...{ method: 'device_code', deviceCode: { url: 'https://auth.openai.com/codex/device', code: 'ABCD-12345' } },
    ...{ takesCode: false, attempt: 2, started: true },
  };
  await db.insert(authSessions).values([
    // One open sign-in for a user and a provider.
    ...openStatuses.map((status, i) => ({
      ...{
        ...common,
        id: id('ses', status),
        userId: userId(i < 3 ? 'ada' : 'bob'),
        provider: providers[i % 3],
        status,
      },
      ...{
        revision: i,
        browserVmId: id('vm', `b${status}`),
        cliVmId: cliVmId(i < 3 ? 'ada' : 'bob'),
        deadlineAt: at(60),
      },
      ...(i >= 3 && { deadlineMaxAt: at(90), login, notice: { ...error, code: 'login_failed' } }),
    })),
    ...endedStatuses.map((status) => ({
      ...{ ...common, id: id('ses', status), userId: userId('cyd'), provider: 'codex', status, revision: 9 },
      ...{ error: status === 'completed' ? null : error, destroyAt: at(70) },
    })),
  ]);
}

async function addTokens(db, { tokens }) {
  const expiresAt = new Date(Date.UTC(2100, 0, 1));
  await db.insert(tokens).values([
    { hash: '2'.repeat(64), kind: 'login', userId: userId('ada'), expiresAt },
    { hash: '3'.repeat(64), kind: 'cookie', userId: userId('ada'), expiresAt },
    { hash: '4'.repeat(64), kind: 'desktop', userId: userId('ada'), vmId: id('vm', 'brunning'), expiresAt },
  ]);
}

/** What each CLI keeps of a login (Gemini: of an API key), with `secret` for its refresh token or key. */
const filesOf = {
  codex: (secret) => ({
    '.codex/auth.json': JSON.stringify({ tokens: { id_token: 'id', access_token: 'access', refresh_token: secret } }),
  }),
  claude_code: (secret) => ({
    '.claude/.credentials.json': JSON.stringify({ claudeAiOauth: { accessToken: 'access', refreshToken: secret } }),
    '.claude.json': JSON.stringify({ oauthAccount: { accountUuid: 'uuid', emailAddress: 'ada@example.com' } }),
  }),
  gemini_cli: (secret) => ({
    '.gemini/settings.json': JSON.stringify({ security: { auth: { selectedType: 'gemini-api-key' } } }),
    '.gemini/.env': `GEMINI_API_KEY=${secret}\n`,
  }),
};

const bundleOf = (provider, secret) => ({
  provider,
  files: Object.entries(filesOf[provider](secret)).map(([path, text]) => {
    return { path, mode: 0o600, contentBase64: Buffer.from(text).toString('base64') };
  }),
});

async function addCredentials(vault) {
  const signIn = async (name, provider, secret, more = {}) => {
    const owner = { userId: userId(name), provider };
    const sessionId = id('ses', `${name}${provider}`);
    const bundle = bundleOf(provider, secret);
    const { lineage } = await vault.stage({ ...owner, sessionId, ...more }, bundle);
    return { owner, generation: lineage, bundle };
  };
  const active = async (...args) => {
    const staged = await signIn(...args);
    await vault.commit(staged.owner.userId, staged.owner.provider, staged.generation);
    return staged;
  };
  const delivered = (owner, name, generation) =>
    vault.note(owner, { holderVmId: cliVmId(name), deliveredAs: generation, deliveredGeneration: generation });

  // Refreshed twice by its CLI in a VM that runs, and a newer sign-in on its way.
  const refreshed = await active('ada', 'codex', 'first');
  await delivered(refreshed.owner, 'ada', refreshed.generation);
  const second = await vault.writeBack(
    refreshed.owner,
    cliVmId('ada'),
    refreshed.generation,
    bundleOf('codex', 'second'),
  );
  await vault.writeBack(refreshed.owner, cliVmId('ada'), second, bundleOf('codex', 'third'));
  await vault.note(refreshed.owner, { confirmed: false, fingerprint: 'f'.repeat(64), expiresAt: at(120) });
  await signIn('ada', 'codex', 'staged');
  // Of a VM that stands still, with a last look at it.
  const kept = await active('bob', 'claude_code', 'kept');
  await delivered(kept.owner, 'bob', kept.generation);
  await vault.note(kept.owner, {
    confirmed: true,
    health: 'expiring',
    healthReason: 'It ends soon.',
    checkedAt: at(31),
  });
  // An API key that is in use, one on its way, one that was refused, and one whose delivery was cut short.
  const key = await active('bob', 'gemini_cli', 'api-key', { sessionId: null, method: 'api_key' });
  await vault.note(key.owner, { delivering: key.generation, holderVmId: cliVmId('bob') });
  await signIn('dan', 'codex', 'staged-key', { sessionId: null, method: 'api_key' });
  const refused = await active('eve', 'codex', 'revoked');
  await vault.note(refused.owner, { health: 'revoked', healthReason: 'The CLI refuses it.', error });
  // Removed: its row of custody stays.
  const removed = await active('fay', 'codex', 'removed');
  await vault.remove(removed.owner);

  const rows = await vault.list(null);
  return Promise.all(
    rows.map(async (row) => {
      const { userId: user, provider, generation, lineage, state } = row;
      return { userId: user, provider, generation, lineage, state, bundle: await vault.read(row) };
    }),
  );
}
