/** A person signs in to Gemini CLI, after closing the browser's window in the desktop and finding the page again. */
import { expect, it } from 'vitest';
import { pressKey, waitForColour, waitForColourGone } from '../support/canvas.js';
import { pageColours } from '../support/fake-internet.js';
import { brief, logins, stepsToTheEnd, stepToTheLoginPage } from '../support/sign-in-steps.js';
import { pageMs, type SignInScenario } from '../support/sign-in.js';

export function signInToGeminiCli(scenario: SignInScenario): void {
  stepToTheLoginPage(scenario, 'gemini_cli');

  if (!brief) stepsWithAClosedWindow(scenario);

  stepsToTheEnd(scenario, () => ({
    refuse: (on) => scenario.internet.googleProvider.setStanding(on ? 'individual' : 'licensed'),
    reason:
      'Google does not let accounts of individuals (free, AI Pro, AI Ultra) sign in to Gemini CLI any more, since 18 June 2026.',
  }));

  it('went out through the user’s own upstream port only, and asked no model', () => {
    scenario.expectOwnUpstream('oauth2.googleapis.com', '/token');
    scenario.expectOwnUpstream('cloudcode-pa.googleapis.com', '/v1internal:loadCodeAssist');
    expect(scenario.internet.googleProvider.counts).toMatchObject({
      codesRedeemed: logins,
      prompts: 0,
      unauthenticated: 0,
    });
  });
}

function stepsWithAClosedWindow(scenario: SignInScenario): void {
  it('brings browser and page back when the person closes the window', async () => {
    await pressKey(scenario.canvas, 'Control+Shift+W');
    await waitForColourGone(scenario.canvas, pageColours.primaryButton, { timeoutMs: 60_000 });
    await scenario.screenshot('4a-window-closed');
    await waitForColour(scenario.canvas, pageColours.primaryButton, { timeoutMs: pageMs });
    await scenario.screenshot('4b-window-back');
  });
}
