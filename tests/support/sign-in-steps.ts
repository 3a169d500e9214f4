/**
 * What each provider's end-to-end test has in common, in order: the way to the provider's page, the way from there to the end,
 * and what must hold afterwards. What is particular to a provider stands between them, in its own file.
 */
import { afterAll, beforeAll, it } from 'vitest';
import type { SignInScenario } from './sign-in.js';

const everything = process.env['TEST_E2E'] === 'all';

/** `cli` is the name that the page shows. */
export function stepsToTheLoginPage(scenario: SignInScenario, cli: string): void {
  beforeAll(async () => scenario.open(), 180_000);
  afterAll(async () => scenario.close());

  it(`shows three providers after the one-time link, ${cli} ready to connect`, async () => scenario.enter());

  it('opens the desktop and the provider’s page in it after Connect', async () => scenario.connect(), 460_000);
}

/** What makes the provider refuse the login that it has just given, and how the person is told. */
export interface RefusedProof {
  refuse(on: boolean): void;
  reason: string;
}

export function stepsToTheEnd(scenario: SignInScenario, refusal: () => RefusedProof): void {
  it(
    'takes mouse and keyboard: a wrong password is told, the right one goes on to consent',
    async () => scenario.logInAtTheSecondTry(),
    460_000,
  );

  it('tells why the provider refuses the login at its proof, and opens the page anew in the same desktop', async () => {
    const { refuse, reason } = refusal();
    await scenario.allowAndBeRefused(refuse, reason);
    await scenario.tryAgain();
    await scenario.logIn();
  }, 900_000);

  it('completes: sealed, handed over, and accepted by the CLI in the CLI VM', async ({ task }) => {
    await scenario.allowAndComplete();
    // The canary's report has it.
    Object.assign(task.meta, { leftOut: scenario.leftOut() });
  }, 460_000);
}

/**
 * `saysTheCli` is what the CLI in the CLI VM answers when it is asked whether it is logged in, which `npm test` asks after a kill of the
 * controller once: tests/vm/crash.test.ts kills it at each state. The last one ends all that was started.
 */
export function stepsAfterwards(scenario: SignInScenario, saysTheCli: string): void {
  it(
    'leaves password and token nowhere but in the sealed vault',
    async () => scenario.expectSecretsOnlyInVault(),
    120_000,
  );

  if (everything || scenario.provider === 'codex') stepAfterAKill(scenario, saysTheCli);

  it('leaves no process, port, mount or folder behind', async () => scenario.closeAndExpectNoLeaks(), 60_000);
}

function stepAfterAKill(scenario: SignInScenario, saysTheCli: string): void {
  it(
    'is all still there after the controller was killed: VMs adopted, desktop viewable, CLI logged in',
    async () => scenario.expectAllThereAfterKill(saysTheCli),
    300_000,
  );
}
