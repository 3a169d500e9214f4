/** Of Claude Code 2.1.332, or 2.1.197 where they differ. `Failed to authenticate` begins the words of a run that nobody watches. */
import type { Refusal } from '../facts.js';

const again = 'Sign in again.';

export const refusals: readonly Refusal[] = [
  {
    words: /(?:Couldn't log in|Login failed): No authorization code received/,
    reason: 'The sign-in ended on Claude’s page without a code.',
    hint: 'Try again. If it was denied there, allow it.',
  },
  {
    // Said of an API key, too, that Anthropic does not know.
    words: /"loggedIn":\s*false|Please run \/login/,
    reason: 'Claude Code says that it is not logged in.',
    hint: 'Sign in again, or give another API key.',
  },
  {
    words: /^api\.anthropic\.com answers 401\b|Failed to authenticate\. API Error: 40[13]\b/m,
    reason: 'Anthropic does not accept this login.',
    hint: 'Sign in again. Of an API key, look in the Anthropic console whether it is there still, and set it again, or another one.',
  },
  {
    words: /OAuth session expired and could not be refreshed/,
    reason: 'The login of Claude Code has ended, and was not renewed.',
    hint: again,
  },
  { words: /OAuth token revoked/, reason: 'Anthropic has taken this login back.', hint: again, takenBack: true },
  {
    words: /organization has disabled Claude subscription access/,
    reason: 'This organization does not let Claude Code use its Claude subscription.',
    hint: 'Use an API key of the Anthropic console, or ask who administers the organization.',
  },
  {
    words: /This organization has been disabled/,
    reason: 'Anthropic has disabled this organization.',
    hint: 'Use another account, or an API key of another organization. Anthropic’s support knows why.',
  },
  {
    words: /Credit balance is too low/,
    reason: 'There is too little credit behind this API key.',
    hint: 'Buy credit in the Anthropic console, or use another key.',
    ofUse: true,
  },
  {
    words: /You've hit your [\w -]{1,40}limit\b/,
    reason: 'This account has used up what its plan allows for now.',
    hint: 'Wait until the limit is reset (the CLI says when), or use an API key.',
    ofUse: true,
  },
  {
    words: /API Error: Request rejected \(429\)/,
    reason: 'Anthropic takes no more requests of this account at this rate.',
    hint: 'Try again in a few minutes.',
    ofUse: true,
  },
  {
    words: /API Error: (?:Repeated 529|5\d\d)\b/,
    reason: 'Anthropic’s servers are overloaded, or out of order.',
    hint: 'Try again later. status.claude.com says how they are.',
    ofUse: true,
  },
  {
    words: /There's an issue with the selected model/,
    reason: 'This account may not use the model that Claude Code has chosen.',
    hint: 'Choose another one in `~/.claude/settings.json` of the CLI VM (`model`).',
    ofUse: true,
  },
];
