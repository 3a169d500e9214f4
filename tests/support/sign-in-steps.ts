/**
 * What each provider's end-to-end test has in common, in order: the way to the provider's page, and the way from there to the end.
 * What is particular to a provider stands between them, in its own file.
 */
import { it } from 'vitest';
import type { ProviderId } from '@airlock/contract/provider/provider';
import type { SignInScenario } from './sign-in.js';

export const everything = process.env['TEST_E2E'] === 'all';
/** Nothing goes wrong on the way: on an emulated host each step takes minutes. */
export const brief = process.env['TEST_E2E'] === 'brief';
/** How often a provider gives a login. */
export const logins = brief ? 1 : 2;

export function stepToTheLoginPage(scenario: SignInScenario, provider: ProviderId): void {
  it('opens the desktop and the provider’s page in it after Connect', async () => scenario.connect(provider));
}

/** What makes the provider refuse the login that it has just given, and how the person is told. */
export interface RefusedProof {
  refuse(on: boolean): void;
  reason: string;
}

export function stepsToTheEnd(scenario: SignInScenario, refusal: () => RefusedProof): void {
  if (brief) stepToConsent(scenario);
  else stepsThroughRefusals(scenario, refusal);

  it('completes: sealed, handed over, and accepted by the CLI in the CLI VM', async ({ task }) => {
    await scenario.allowAndComplete();
    // The canary's report has it.
    Object.assign(task.meta, { leftOut: scenario.leftOut() });
  });
}

function stepToConsent(scenario: SignInScenario): void {
  it('takes mouse and keyboard', async () => scenario.logIn());
}

function stepsThroughRefusals(scenario: SignInScenario, refusal: () => RefusedProof): void {
  it('takes mouse and keyboard: a wrong password is told, the right one goes on to consent', async () =>
    scenario.logInAtTheSecondTry());

  it('tells why the provider refuses the login at its proof, and opens the page anew in the same desktop', async () => {
    const { refuse, reason } = refusal();
    await scenario.allowAndBeRefused(refuse, reason);
    await scenario.tryAgain();
    await scenario.logIn();
  });
}
