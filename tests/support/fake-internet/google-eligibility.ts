/** Tiers of Code Assist, and what Google says of an account that gets none: reasons and words as people have reported them. */
import type { GoogleStanding } from './google-state.js';

/** Somebody with a licence, whose company has named a project for it. */
export const licensedTier = { id: 'standard-tier', name: 'Gemini Code Assist', isDefault: true };
/** Somebody who must name a project of their own, as with Google Workspace. */
export const ownProjectTier = { ...licensedTier, userDefinedCloudaicompanionProject: true };

const individuals = { tierId: 'free-tier', tierName: 'Gemini Code Assist for individuals' };

/** `ineligibleTiers` of `loadCodeAssist`. */
export const refusals: Partial<Record<GoogleStanding, readonly Record<string, string>[]>> = {
  individual: [
    {
      ...individuals,
      reasonCode: 'UNSUPPORTED_CLIENT',
      reasonMessage:
        'This client is no longer supported for Gemini Code Assist for individuals. To continue using Gemini, please migrate to the Antigravity suite of products: https://antigravity.google',
    },
  ],
  location: [
    {
      ...individuals,
      reasonCode: 'UNSUPPORTED_LOCATION',
      reasonMessage:
        'Your current account is not eligible for Gemini Code Assist for individuals because it is not currently available in your location.',
    },
  ],
  age: [
    {
      ...individuals,
      reasonCode: 'RESTRICTED_AGE',
      reasonMessage: 'Your current account is not eligible for Gemini Code Assist for individuals.',
    },
  ],
  unverified: [
    {
      ...individuals,
      reasonCode: 'VALIDATION_REQUIRED',
      reasonMessage: 'Verify your account to continue.',
      validationUrl: 'https://accounts.google.com/signin/continue',
    },
  ],
};
