/**
 * Does what a coding CLI does when its access token has ended: takes the refresh token from its file, trades it at the
 * provider, and puts the answer in the file's place. Exit code 3: the provider refused the token.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const path = join(process.env.HOME, '.codex/auth.json');
const auth = JSON.parse(readFileSync(path, 'utf8'));
const answer = await fetch(process.env.TOKEN_URL, {
  method: 'POST',
  body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: auth.tokens.refresh_token }),
});
if (answer.status !== 200) process.exit(3);
writeFileSync(`${path}.tmp`, JSON.stringify({ ...auth, tokens: await answer.json() }), { mode: 0o600 });
renameSync(`${path}.tmp`, path);
