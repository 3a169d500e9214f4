/**
 * A person signs in to Claude Code; with TEST_E2E=all after a refusal, and at the end once more from a second device, where
 * Anthropic's page shows a code that the person pastes into the dashboard.
 */
import { expect, it } from 'vitest';
import { decideElsewhere } from '../support/second-device.js';
import { patience } from '../support/patience.js';
import { brief, everything, logins, stepsToTheEnd, stepToTheLoginPage } from '../support/sign-in-steps.js';
import { bootMs, pageMs, type SignInScenario } from '../support/sign-in.js';

const wait = { timeout: pageMs * patience };

export function signInToClaudeCode(scenario: SignInScenario): void {
  stepToTheLoginPage(scenario, 'claude_code');

  if (everything) stepsThroughARefusal(scenario);
  stepsToTheEnd(scenario, () => ({
    refuse: scenario.internet.claudeProvider.refuseLogins,
    reason: 'Anthropic does not accept this login.',
  }));

  it('went out through the user’s own upstream port only, and asked no model', () => {
    scenario.expectOwnUpstream('platform.claude.com', '/v1/oauth/token');
    scenario.expectOwnUpstream('api.anthropic.com', '/api/oauth/profile');
    expect(scenario.internet.claudeProvider.counts).toMatchObject({
      wrongPasswords: brief ? 0 : 1,
      denials: everything ? 1 : 0,
      consents: logins,
      codesRedeemed: logins,
      refreshesRefused: 0,
      messages: 0,
    });
  });

  if (everything) stepsOnAnotherDevice(scenario);
}

function stepsThroughARefusal(scenario: SignInScenario): void {
  it('tells truthfully that the person refused', async () => {
    await scenario.logIn();
    await scenario.deny('No authorization code received');
  });

  it('opens the page anew in the same desktop, from the ladder of other ways, which tells the reason', async () => {
    expect(await scenario.openLadder()).toContain('The Claude Code login ended with exit code 1');
    await scenario.tryAgain('rung-browser');
  });
}

function stepsOnAnotherDevice(scenario: SignInScenario): void {
  it('shows the address for another device after Connect, and tells why it takes no half code', async () => {
    const { page } = scenario;
    await page.goto(`${scenario.controller.url}/dashboard/remote-cli`);
    await page.getByTestId('connect-claude_code').click();
    await scenario.expectStatus(/^awaiting_user_auth$/, bootMs + pageMs);
    expect(await scenario.openLadder()).toBe('');
    await page.getByTestId('rung-device-code').click();
    await page.getByTestId('device-code').getByText('You chose to sign in to Anthropic with a code').waitFor(wait);
    const field = page.getByLabel(/paste it here/);
    await field.fill('half-a-code');
    await page.getByRole('button', { name: 'Send the code' }).click();
    await page.getByTestId('paste-code').getByText('does not look like a code').waitFor();
    await scenario.screenshot('8-paste-code');
  });

  it('completes by the code from a browser elsewhere, in the same CLI VM', async () => {
    const { page, internet } = scenario;
    const address = (await page.getByTestId('device-url').getAttribute('href')) ?? '';
    const code = await decideElsewhere(internet, address, 'Allow', (there) => there.getByLabel('Code').inputValue());
    await page.getByLabel(/paste it here/).fill(code);
    await page.getByRole('button', { name: 'Send the code' }).click();
    await scenario.expectCompleted();
    expect(internet.claudeProvider.counts).toMatchObject({ consents: 3, codesRedeemed: 3, codesRefused: 0 });
  });
}
