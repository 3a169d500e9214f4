/** Proofs that a caller can read the vault key: each for one call, once, within a minute. */
import { randomBytes } from 'node:crypto';
import { AppError } from '@airlock/contract/errors';

export interface KeyProofs {
  /** What a proof is made of. */
  challenge(): { nonce: string; expiresAt: Date };
  /** Uses the proof up. @throws AppError key_proof_needed */
  require(proof: string | undefined, call: string): void;
}

const lifetimeMs = 60_000;
/** More than that nobody needs at once: the oldest goes. */
const most = 100;

/** `proves`: whether the proof is one of this nonce and call by a key of the vault. */
export function createKeyProofs(
  proves: (proof: string, nonce: string, call: string) => boolean,
  now = (): number => Date.now(),
): KeyProofs {
  const open = new Map<string, number>();
  return {
    challenge() {
      for (const [nonce, end] of open) if (end <= now() || open.size >= most) open.delete(nonce);
      const nonce = randomBytes(32).toString('base64url');
      const end = now() + lifetimeMs;
      open.set(nonce, end);
      return { nonce, expiresAt: new Date(end) };
    },
    require(proof, call) {
      const [nonce = ''] = proof?.split('.', 1) ?? [];
      const end = open.get(nonce);
      open.delete(nonce);
      if (proof !== undefined && end !== undefined && end > now() && proves(proof, nonce, call)) return;
      const what = proof === undefined ? 'came without the proof' : 'came with a proof that is not good (any more)';
      throw new AppError('key_proof_needed', `${call} ${what} that its caller can read the vault key.`, {
        hint: 'On the host, as the account that Airlock runs as, `npx airlock` proves it by itself.',
      });
    },
  };
}
