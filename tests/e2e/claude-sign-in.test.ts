/**
 * The main job with Claude Code: a person connects it and refuses, is told so, tries again, signs in by mouse and keyboard
 * through noVNC, and the CLI in the CLI VM says that it is logged in. Only Anthropic is simulated.
 */
import { describe, expect, it } from 'vitest';
import { SignInScenario } from '../support/sign-in.js';
import { stepsAfterwards, stepsToTheEnd, stepsToTheLoginPage } from '../support/sign-in-steps.js';

const scenario = new SignInScenario('claude_code');

describe('a Claude Code sign-in', () => {
  stepsToTheLoginPage(scenario, 'Claude Code');

  it('tells truthfully that the person refused', async () => {
    await scenario.logIn();
    await scenario.deny('Login failed: No authorization code received');
  }, 460_000);

  it('opens the page anew in the same desktop', async () => scenario.tryAgain(), 260_000);

  stepsToTheEnd(scenario, '"loggedIn": true');

  it('went out through the user’s own upstream port only, for one login and no prompt', () => {
    scenario.expectOwnUpstream('platform.claude.com', '/v1/oauth/token');
    scenario.expectOwnUpstream('api.anthropic.com', '/api/oauth/profile');
    expect(scenario.internet.claudeProvider.counts).toMatchObject({
      wrongPasswords: 1,
      denials: 1,
      consents: 1,
      codesRedeemed: 1,
      refreshesRefused: 0,
      messages: 0,
    });
  });

  stepsAfterwards(scenario);
});
