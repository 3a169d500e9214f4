/**
 * The main job, whole: a person on the dashboard connects one CLI after the other and signs in on the provider's page inside the
 * desktop, by mouse and keyboard through noVNC; each CLI in the person's one CLI VM says that it is logged in. Only the providers are
 * simulated. With TEST_E2E=all, as `npm run soak -- --only sign-in` sets it, the person also refuses, and uses another device;
 * with TEST_E2E=brief nothing goes wrong.
 * `-t codex` is one provider alone.
 */
import { afterAll, beforeAll, describe, it } from 'vitest';
import { SignInScenario } from '../support/sign-in.js';
import { signInToClaudeCode } from './claude-code.js';
import { signInToCodex } from './codex.js';
import { signInToGeminiCli } from './gemini-cli.js';

const scenario = new SignInScenario();

beforeAll(async () => {
  await scenario.open();
  await scenario.enter();
});
afterAll(async () => scenario.close());

// A canary finds a provider's tests by its id, which is the name of its suite.
describe('codex', () => {
  signInToCodex(scenario);
});
describe('claude_code', () => {
  signInToClaudeCode(scenario);
});
describe('gemini_cli', () => {
  signInToGeminiCli(scenario);
});

describe('after the sign-ins', () => {
  it('password and tokens are nowhere but in the sealed vault', async () => scenario.expectSecretsOnlyInVault(3));

  it('all is still there when the controller was killed: VMs adopted, desktop viewable, CLIs logged in', async () =>
    scenario.expectAllThereAfterKill({
      codex: 'Logged in using ChatGPT',
      claude_code: '"loggedIn": true',
      gemini_cli: 'Loaded cached credentials.',
    }));

  it('no process, port, mount or folder is left', async () => scenario.closeAndExpectNoLeaks());
});
