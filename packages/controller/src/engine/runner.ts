/** The runner as a program of this host, and how long it may take. */
import { fileURLToPath } from 'node:url';

export const runnerMain = fileURLToPath(import.meta.resolve('@airlock/runner/main'));
/** A runner answers on its socket within this time, in ms, or it has failed. Node itself starts in well under a second. */
export const startTimeoutMs = 20_000;
/** Milliseconds for what a runner answers by itself, without its guest: at once, or it is deaf. */
export const answerMs = 5000;
/** Between two looks at a runner that comes up or ends, in ms. */
export const pollMs = 50;
