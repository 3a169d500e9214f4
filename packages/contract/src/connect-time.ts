/** How long a connect may take. */
import { setDefaultAutoSelectFamilyAttemptTimeout } from 'node:net';

/**
 * Milliseconds for one address of several, before the next is tried: Node's own 250 are less than a slow line takes, and it gives up with
 * the last one. A SYN that was lost comes again after one second, and after three.
 */
export const attemptMs = 4000;

/** Gives them to each connect of this process that says nothing else. For a program, before it does anything. */
export const giveConnectsTime = (): void => setDefaultAutoSelectFamilyAttemptTimeout(attemptMs);
