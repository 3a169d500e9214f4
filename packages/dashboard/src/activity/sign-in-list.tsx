/** Browsers in which the person is signed in; each can be ended, or all at once. */
import { Button } from '@mantine/core';
import { AppError } from '@airlock/contract/errors';
import type { SignIn } from '@airlock/contract/sign-ins';
import { serverNowMs } from '../api/clock.js';
import { Problem } from '../ui/problem.js';
import { formatMoment } from '../ui/time.js';
import styles from './activity.module.css';
import { useEndSignIn, useSignOutEverywhere } from './use-activity.js';

export function SignInList({ signIns }: { signIns: readonly SignIn[] }) {
  const endOne = useEndSignIn();
  const everywhere = useSignOutEverywhere();
  const error = endOne.error ?? everywhere.error;
  const moment = (iso: string): string => formatMoment(iso, serverNowMs());
  return (
    <section className={styles.box}>
      <h2>Where you are signed in</h2>
      <ul className={styles.list} data-testid="sign-ins">
        {signIns.map(({ id, createdAt, lastUsedAt, expiresAt, current }) => (
          <li key={id}>
            <span className={styles.what}>
              {current ? 'This browser' : 'Another browser'}
              <small className={styles.note}>
                since {moment(createdAt)}, last used {lastUsedAt === null ? 'never' : moment(lastUsedAt)}, until{' '}
                {moment(expiresAt)}
              </small>
            </span>
            {!current && (
              <Button variant="default" size="xs" loading={endOne.isPending} onClick={() => endOne.mutate(id)}>
                Sign out
              </Button>
            )}
          </li>
        ))}
      </ul>
      {error !== null && <Problem error={AppError.from(error).toBody()} announce />}
      <Button variant="default" loading={everywhere.isPending} onClick={() => everywhere.mutate()}>
        Sign out everywhere
      </Button>
    </section>
  );
}
