/**
 * The main job with Claude Code: a person connects it and refuses, is told so, tries again, signs in by mouse and keyboard
 * through noVNC, and the CLI in the CLI VM says that it is logged in. Only Anthropic is simulated.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SignInScenario } from '../support/sign-in.js';

const scenario = new SignInScenario('claude_code');

beforeAll(async () => scenario.open(), 180_000);
afterAll(async () => scenario.close());

describe('a Claude Code sign-in', () => {
  it('shows three providers after the one-time link, Claude Code ready to connect', async () => scenario.enter());

  it('opens the desktop and the provider’s page in it after Connect', async () => scenario.connect(), 460_000);

  it('tells truthfully that the person refused', async () => {
    await scenario.logIn();
    await scenario.deny('Login failed: No authorization code received');
  }, 460_000);

  it('opens the page anew in the same desktop', async () => scenario.tryAgain(), 260_000);

  it(
    'takes mouse and keyboard: a wrong password is told, the right one goes on to consent',
    async () => scenario.logInAtTheSecondTry(),
    460_000,
  );

  it(
    'completes: sealed, handed over, and accepted by the CLI in the CLI VM',
    async () => scenario.allowAndComplete('"loggedIn": true'),
    460_000,
  );

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

  it(
    'leaves password and token nowhere but in the sealed vault',
    async () => scenario.expectSecretsOnlyInVault(),
    120_000,
  );

  it(
    'is all still there after the controller was killed: VMs adopted, desktop viewable, CLI logged in',
    async () => scenario.expectAllThereAfterKill(),
    300_000,
  );

  it('leaves no process, port, mount or folder behind', async () => scenario.closeAndExpectNoLeaks(), 60_000);
});
