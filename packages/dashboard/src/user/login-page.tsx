/** /login: asks whether to sign in to the account that the link is for, or says how to get a link. */
import type { AppError } from '@airlock/contract/errors';
import { Button } from '@mantine/core';
import { LinkButton } from '../ui/link-button.js';
import { CardPage } from '../ui/page.js';
import { Problem } from '../ui/problem.js';
import { useTitle } from '../ui/use-title.js';
import { LoginHelp } from './login-help.js';
import styles from './login-page.module.css';
import { useLogin, type Login } from './use-login.js';

export function LoginPage() {
  const login = useLogin();
  useTitle('Sign in');
  switch (login.stage) {
    case 'failed':
      return <LoginFailed error={login.error} />;
    case 'loading':
      return (
        <CardPage title="One moment…">
          <p>Looking at your link.</p>
        </CardPage>
      );
    case 'asking':
      return login.present === null || login.present === login.account ? (
        <Question {...login} />
      ) : (
        <ReplaceQuestion {...login} present={login.present} />
      );
    default:
      return (
        <CardPage title="Open your login link">
          <p>Airlock has no passwords: you sign in with a link that works once.</p>
          <LoginHelp />
        </CardPage>
      );
  }
}

type Asking = Extract<Login, { stage: 'asking' }>;

function Question({ account, present, isPending, agree }: Asking) {
  return (
    <CardPage
      title={`Sign in as ${account}?`}
      actions={
        <>
          <Button loading={isPending} onClick={agree} data-testid="login-agree">
            Sign in as {account}
          </Button>
          {present !== null && (
            <LinkButton to="/remote-cli" variant="default">
              Go to your CLIs
            </LinkButton>
          )}
        </>
      }
    >
      <p>
        This link opens the account <Account name={account} />.{' '}
        {present !== null && 'You are signed in to it here already; the link begins a new sign-in.'}
      </p>
      <Warning account={account} />
    </CardPage>
  );
}

/** Somebody else is signed in: the way on is the one that is not highlighted. */
function ReplaceQuestion({ account, present, isPending, agree }: Asking & { present: string | undefined }) {
  return (
    <CardPage
      title={`This link is for ${account}`}
      actions={
        <>
          <LinkButton to="/remote-cli" data-testid="login-stay">
            {present === undefined ? 'Leave it as it is' : `Stay ${present}`}
          </LinkButton>
          <Button variant="default" loading={isPending} onClick={agree} data-testid="login-replace">
            {present === undefined ? 'Sign them out' : `Sign out ${present}`}, sign in as {account}
          </Button>
        </>
      }
    >
      <p role="alert">
        In this browser {present === undefined ? 'somebody else' : <Account name={present} />} is signed in.
      </p>
      <Warning account={account} />
    </CardPage>
  );
}

function Warning({ account }: { account: string }) {
  return (
    <div className={styles.warning}>
      Whatever you connect after that goes to the vault of <Account name={account} />. If this is not your account, or
      you do not know why you got this link, close this page: nothing has happened yet.
    </div>
  );
}

const Account = ({ name }: { name: string }) => <strong className={styles.account}>{name}</strong>;

function LoginFailed({ error }: { error: AppError }) {
  if (error.code !== 'login_token_invalid' && error.code !== 'invalid_request') {
    return (
      <CardPage title="Signing in did not work">
        <div style={{ margin: '16px 0' }}>
          <Problem error={error.toBody()} announce />
        </div>
        <p>Your link may still be good: open it once more. If it is not, you need a new one.</p>
        <LoginHelp />
      </CardPage>
    );
  }
  return (
    <CardPage title="This login link no longer works">
      <p role="alert">A link works once, and only for a short time. You need a new one.</p>
      <LoginHelp />
    </CardPage>
  );
}
