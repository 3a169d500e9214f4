/** A person signs in to Codex, whose answer comes back to a port of the desktop, and asks it something on the page. */
import { it } from 'vitest';
import { waitForColour } from '../support/canvas.js';
import { pageColours } from '../support/fake-internet.js';
import { everything, stepsToTheEnd, stepToTheLoginPage } from '../support/sign-in-steps.js';
import type { SignInScenario } from '../support/sign-in.js';

export function signInToCodex(scenario: SignInScenario): void {
  stepToTheLoginPage(scenario, 'codex');

  it('survives a reload of the page', async () => {
    await scenario.page.reload();
    await scenario.canvas.waitFor();
    await waitForColour(scenario.canvas, pageColours.primaryButton, { timeoutMs: 60_000 });
  });

  if (everything) stepsOfARefusal(scenario);

  stepsToTheEnd(scenario, () => ({
    refuse: scenario.internet.codexProvider.refuseLogins,
    reason: 'OpenAI has taken this login back.',
  }));

  it('answers a question asked on the page, with that login', async () => {
    const question = 'Say hello to Ada, and "$(id)" <b>as it is</b>.';
    await scenario.tryIt(question, `You said: ${question}`);
  });

  it('went out through the user’s own upstream port only', () =>
    scenario.expectOwnUpstream('auth.openai.com', '/oauth/token'));
}

/** In `npm test` the refusals of the real CLIs are shown without a desktop: tests/integration/<cli>-login.test.ts. */
function stepsOfARefusal(scenario: SignInScenario): void {
  it('tells truthfully that the person refused, and opens the page anew in the same desktop', async () => {
    await scenario.logIn();
    await scenario.deny('refused to sign in');
    await scenario.tryAgain();
  });
}
