/**
 * Of Gemini CLI 0.61. Google looks at the account only after the sign-in: the CLI has a whole credential by then, and ends with 0. Reasons
 * are those of `IneligibleTierReasonCode` in the CLI, and `UNSUPPORTED_CLIENT`, which Google answers since 18 June 2026.
 */
import type { Refusal } from '../facts.js';

/** What remains for whoever may not sign in with their own Google account. */
export const ways =
  'Use an API key, sign in with a Google Workspace account, or with one that has a licence of Gemini Code Assist (Standard or Enterprise).';

export const refusals: readonly Refusal[] = [
  {
    words: /\bAuth(?:entic|oriz)ation timed out after \d+ minutes\b/,
    reason: 'Gemini CLI waits five minutes for a sign-in, and they were over.',
    hint: 'Sign in on the new page.',
    again: true,
  },
  {
    words: /\bUNSUPPORTED_CLIENT\b|client is no longer supported for Gemini Code Assist for individuals/,
    reason:
      'Google does not let accounts of individuals (free, AI Pro, AI Ultra) sign in to Gemini CLI any more, since 18 June 2026.',
    hint: ways,
  },
  {
    words: /\b(?:UNSUPPORTED_LOCATION|UNKNOWN_LOCATION|RESTRICTED_NETWORK)\b|not currently available in your location/,
    reason: 'Google does not offer Gemini CLI to this account where the sign-in came from.',
    hint: `Google sees the address of your upstream proxy. ${ways}`,
  },
  {
    words: /^generativelanguage\.googleapis\.com answers 400:.*\blocation\b|User location is not supported/m,
    reason: 'Google does not offer its API where the key was used.',
    hint: 'Google sees the address of your upstream proxy: use one in a country that Google names for the Gemini API.',
    ofUse: true,
  },
  {
    words:
      /^generativelanguage\.googleapis\.com answers 40[013]\b|API key not valid|API key expired|API key was reported as leaked/m,
    reason: 'Google does not accept this API key for Gemini.',
    hint: 'Look in Google AI Studio (aistudio.google.com/apikey) whether it is there still and what it may be used for, and set it again, or another one.',
  },
  {
    words: /\bRESTRICTED_AGE\b/,
    reason: 'Google does not offer Gemini CLI to this account because of its holder’s age.',
    hint: 'Sign in with another account, or verify your age in the settings of your Google account.',
  },
  {
    // Not a word of the refusal itself: the CLI's login and proof end in silence then, signed in and without experiments.
    words:
      /\bVALIDATION_REQUIRED\b|ValidationRequiredError|^Loaded cached credentials\.$(?![\s\S]*(?:Error authenticating|Experiments loaded))/m,
    reason: 'Google wants this account to be verified before Gemini CLI may use it.',
    hint: 'Open your Google account in a browser, finish what it asks for there (“Verify your account”), and sign in again.',
  },
  {
    words: /\bProjectIdRequiredError\b/,
    reason: 'This Google account needs a Google Cloud project to use Gemini CLI.',
    hint: 'Give the id of one in which your company has enabled Gemini for Google Cloud, or use an API key.',
    asks: 'project',
  },
  {
    words: /\bIneligibleTierError\b/,
    reason: 'Google does not let this account use Gemini CLI.',
    hint: ways,
  },
  {
    words: /Cached credentials are not valid: invalid_grant/,
    reason: 'Google has taken this login back.',
    hint: 'Sign in again.',
    takenBack: true,
  },
  {
    // Also said at a prompt without a way to Google: the reason stays behind `--debug`.
    words: /Cached credentials are not valid|Manual authorization is required/,
    reason: 'Gemini CLI could not renew its login: Google does not take it any more, or could not be reached.',
    hint: 'Ask once more. If it is said again, sign in again.',
  },
  {
    words: /Please set an Auth method in your/,
    reason: 'Gemini CLI finds no login.',
    hint: 'Sign in again, or give an API key.',
  },
  {
    words: /You have exhausted your daily quota/,
    reason: 'The quota of this account, or key, for this day is used up.',
    hint: 'Wait until tomorrow, or ask for more in Google AI Studio.',
    ofUse: true,
  },
  {
    words: /\bRESOURCE_EXHAUSTED\b|Resource has been exhausted/,
    reason: 'Google takes no more requests of this account, or key, at this rate.',
    hint: 'Try again in a few minutes.',
    ofUse: true,
  },
  {
    words: /The model is overloaded/,
    reason: 'Google’s servers are overloaded.',
    hint: 'Try again later.',
    ofUse: true,
  },
  {
    words: /Google OAuth error: access_denied/,
    reason: 'The sign-in was refused on Google’s page.',
    hint: 'Try again, and allow Gemini CLI there.',
  },
];
