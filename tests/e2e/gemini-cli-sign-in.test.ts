/**
 * The main job with Gemini CLI: a person connects it, closes the browser's window in the desktop and finds the page again,
 * signs in by mouse and keyboard through noVNC, and the CLI in the CLI VM is let in by Google. Only Google is simulated.
 */
import { describe, expect, it } from 'vitest';
import { pressKey, waitForColour, waitForColourGone } from '../support/canvas.js';
import { pageColours } from '../support/fake-internet.js';
import { pageMs, SignInScenario } from '../support/sign-in.js';
import { stepsAfterwards, stepsToTheEnd, stepsToTheLoginPage } from '../support/sign-in-steps.js';

const scenario = new SignInScenario('gemini_cli');

describe('a Gemini CLI sign-in', () => {
  stepsToTheLoginPage(scenario, 'Gemini CLI');

  it('brings browser and page back when the person closes the window', async () => {
    await pressKey(scenario.canvas, 'Control+Shift+W');
    await waitForColourGone(scenario.canvas, pageColours.primaryButton, { timeoutMs: 60_000 });
    await scenario.screenshot('4a-window-closed');
    await waitForColour(scenario.canvas, pageColours.primaryButton, { timeoutMs: pageMs });
    await scenario.screenshot('4b-window-back');
  }, 260_000);

  stepsToTheEnd(scenario, () => ({
    refuse: (on) => scenario.internet.googleProvider.setStanding(on ? 'individual' : 'licensed'),
    reason:
      'Google does not let accounts of individuals (free, AI Pro, AI Ultra) sign in to Gemini CLI any more, since 18 June 2026.',
  }));

  it('went out through the user’s own upstream port only, and asked no model', () => {
    scenario.expectOwnUpstream('oauth2.googleapis.com', '/token');
    scenario.expectOwnUpstream('cloudcode-pa.googleapis.com', '/v1internal:loadCodeAssist');
    expect(scenario.internet.googleProvider.counts).toMatchObject({ codesRedeemed: 2, prompts: 0, unauthenticated: 0 });
  });

  stepsAfterwards(scenario, 'Loaded cached credentials.');
});
