/** Of Codex 0.169. */
import type { Refusal } from '../facts.js';

const page = 'https://platform.openai.com/api-keys';
const again = 'Sign in again.';

export const refusals: readonly Refusal[] = [
  {
    words: /^Error logging in: Sign-in failed:/m,
    reason: 'The sign-in failed on OpenAI’s page.',
    hint: 'Try again. If it was denied there, allow it.',
  },
  {
    words: /^Not logged in$/m,
    reason: 'Codex says that it is not logged in.',
    hint: 'Sign in again, or give another API key.',
  },
  {
    words: /refresh token was already used/,
    reason: 'Another program has used this login, and OpenAI renews it no longer.',
    hint: 'Sign in again, and leave this login to Airlock alone.',
    takenBack: true,
  },
  {
    words: /refresh token was revoked|^chatgpt\.com answers 401\b|\b401 Unauthorized\b.*\bchatgpt\.com/m,
    reason: 'OpenAI has taken this login back.',
    hint: again,
    takenBack: true,
  },
  { words: /refresh token has expired/, reason: 'The login of Codex has ended.', hint: again },
  {
    words: /Your access token could not be refreshed/,
    reason: 'The login of Codex has ended, and OpenAI did not renew it.',
    hint: again,
  },
  {
    words: /^api\.openai\.com answers 401\b|\b401 Unauthorized\b/m,
    reason: 'OpenAI does not accept this API key.',
    hint: `Look at ${page} whether it is there still, and set it again, or another one.`,
  },
  {
    words: /You’ve hit your usage limit/,
    reason: 'This account has used up what its plan allows for now.',
    hint: 'Wait until the limit is reset, buy credit at chatgpt.com/settings/usage, or use an API key.',
    ofUse: true,
  },
  {
    words: /\bQuota exceeded\./,
    reason: 'There is no quota left behind this API key.',
    hint: 'Look at the billing of the OpenAI platform, or use another key.',
    ofUse: true,
  },
  {
    words: /To use Codex with your ChatGPT plan, upgrade/,
    reason: 'The ChatGPT plan of this account has no Codex.',
    hint: 'Upgrade the plan, sign in with another account, or use an API key.',
    ofUse: true,
  },
  {
    words: /Selected model is at capacity|\bunexpected status 5\d\d\b/,
    reason: 'OpenAI’s servers are overloaded, or out of order.',
    hint: 'Try again later. status.openai.com says how they are.',
    ofUse: true,
  },
  {
    words: /Country, region, or territory not supported/,
    reason: 'OpenAI does not offer Codex where the prompt came from.',
    hint: 'OpenAI sees the address of your upstream proxy: use one in a country that OpenAI names.',
    ofUse: true,
  },
];
