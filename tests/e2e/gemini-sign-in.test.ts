/**
 * The main job with Gemini CLI: a person connects it, closes the browser's window in the desktop and finds the page again,
 * signs in by mouse and keyboard through noVNC, and the CLI in the CLI VM is let in by Google. Only Google is simulated.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clickCanvas, waitForColour, waitForColourGone } from '../support/canvas.js';
import { pageColours } from '../support/fake-internet.js';
import { pageMs, SignInScenario } from '../support/sign-in.js';

const scenario = new SignInScenario('gemini_cli');
/** The cross of the browser's window, which is 832 pixels wide and in the corner of the desktop. */
const closeButton = { x: 811, y: 20 };

beforeAll(async () => scenario.open(), 180_000);
afterAll(async () => scenario.close());

describe('a Gemini CLI sign-in', () => {
  it('shows three providers after the one-time link, Gemini CLI ready to connect', async () => scenario.enter());

  it('opens the desktop and the provider’s page in it after Connect', async () => scenario.connect(), 460_000);

  it('brings browser and page back when the person closes the window', async () => {
    await clickCanvas(scenario.canvas, closeButton.x, closeButton.y);
    await waitForColourGone(scenario.canvas, pageColours.primaryButton, { timeoutMs: 60_000 });
    await scenario.screenshot('4a-window-closed');
    await waitForColour(scenario.canvas, pageColours.primaryButton, { timeoutMs: pageMs });
    await scenario.screenshot('4b-window-back');
  }, 260_000);

  it(
    'takes mouse and keyboard: a wrong password is told, the right one goes on to consent',
    async () => scenario.logInAtTheSecondTry(),
    460_000,
  );

  it(
    'completes: sealed, handed over, and accepted by the CLI in the CLI VM',
    async () => scenario.allowAndComplete('Loaded cached credentials.'),
    460_000,
  );

  it('went out through the user’s own upstream port only, and asked no model', () => {
    scenario.expectOwnUpstream('oauth2.googleapis.com', '/token');
    scenario.expectOwnUpstream('cloudcode-pa.googleapis.com', '/v1internal:loadCodeAssist');
    expect(scenario.internet.googleProvider.counts).toMatchObject({ codesRedeemed: 1, prompts: 0, unauthenticated: 0 });
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
