/**
 * The main job, whole: a person on the dashboard connects Codex and signs in on the provider's page inside the desktop, by mouse
 * and keyboard through noVNC; the CLI in the CLI VM says that it is logged in, and answers. With TEST_E2E=all, as
 * `npm run soak -- --only sign-in` sets it, the person refuses at first, is told so and tries again. Only the provider is
 * simulated.
 */
import { describe, it } from 'vitest';
import { waitForColour } from '../support/canvas.js';
import { pageColours } from '../support/fake-internet.js';
import { SignInScenario } from '../support/sign-in.js';
import { stepsAfterwards, stepsToTheEnd, stepsToTheLoginPage } from '../support/sign-in-steps.js';

const scenario = new SignInScenario('codex');

describe('a Codex sign-in', () => {
  stepsToTheLoginPage(scenario, 'Codex');

  it('survives a reload of the page', async () => {
    await scenario.page.reload();
    await scenario.canvas.waitFor();
    await waitForColour(scenario.canvas, pageColours.primaryButton, { timeoutMs: 60_000 });
  }, 90_000);

  if (process.env['TEST_E2E'] === 'all') stepsOfARefusal();

  stepsToTheEnd(scenario, () => ({
    refuse: scenario.internet.codexProvider.refuseLogins,
    reason: 'OpenAI has taken this login back.',
  }));

  it('answers a question asked on the page, with that login', async () => {
    const question = 'Say hello to Ada, and "$(id)" <b>as it is</b>.';
    await scenario.tryIt(question, `You said: ${question}`);
  }, 300_000);

  it('went out through the user’s own upstream port only', () =>
    scenario.expectOwnUpstream('auth.openai.com', '/oauth/token'));

  stepsAfterwards(scenario, 'Logged in using ChatGPT');
});

/** In `npm test` the refusals of the real CLIs are shown without a desktop: tests/integration/<cli>-login.test.ts. */
function stepsOfARefusal(): void {
  it('tells truthfully that the person refused, and opens the page anew in the same desktop', async () => {
    await scenario.logIn();
    await scenario.deny('refused to sign in');
    await scenario.tryAgain();
  }, 460_000);
}
