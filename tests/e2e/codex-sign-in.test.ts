/**
 * The main job, whole: a person on the dashboard connects Codex, signs in on the provider's page inside the desktop, by
 * mouse and keyboard through noVNC, and the CLI in the CLI VM says that it is logged in. Only the provider is simulated.
 */
import { afterAll, beforeAll, describe, it } from 'vitest';
import { waitForColour } from '../support/canvas.js';
import { pageColours } from '../support/fake-internet.js';
import { SignInScenario } from '../support/sign-in.js';

const scenario = new SignInScenario('codex');

beforeAll(async () => scenario.open(), 180_000);
afterAll(async () => scenario.close());

describe('a Codex sign-in', () => {
  it('shows three providers after the one-time link, Codex ready to connect', async () => scenario.enter());

  it('opens the desktop and the provider’s page in it after Connect', async () => scenario.connect(), 460_000);

  it('survives a reload of the page', async () => {
    await scenario.page.reload();
    await scenario.canvas.waitFor();
    await waitForColour(scenario.canvas, pageColours.primaryButton, { timeoutMs: 60_000 });
  }, 90_000);

  it(
    'takes mouse and keyboard: a wrong password is told, the right one goes on to consent',
    async () => scenario.logInAtTheSecondTry(),
    460_000,
  );

  it(
    'completes: sealed, handed over, and accepted by the CLI in the CLI VM',
    async () => scenario.allowAndComplete('Logged in using ChatGPT'),
    460_000,
  );

  it('went out through the user’s own upstream port only', () =>
    scenario.expectOwnUpstream('auth.openai.com', '/oauth/token'));

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
