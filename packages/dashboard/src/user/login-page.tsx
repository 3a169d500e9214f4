/** /login: signs in with the link's token, or says how to get a new link. */
import { AppError } from '@airlock/contract/errors';
import { CardPage } from '../ui/page.js';
import { Problem } from '../ui/problem.js';
import { useTitle } from '../ui/use-title.js';
import styles from './login-page.module.css';
import { useLogin } from './use-login.js';

export function LoginPage() {
  const { hasToken, error } = useLogin();
  useTitle('Sign in');
  if (error !== null) return <LoginFailed error={AppError.from(error)} />;
  if (hasToken) {
    return (
      <CardPage title="Signing you in…">
        <p>This takes a moment.</p>
      </CardPage>
    );
  }
  return (
    <CardPage title="Open your login link">
      <p>
        Airlock has no passwords: you sign in with a link that works once. Get one on the computer that runs Airlock:
      </p>
      <LoginCommand />
      <p>Then open the address that it prints, in this browser.</p>
    </CardPage>
  );
}

function LoginFailed({ error }: { error: AppError }) {
  if (error.code !== 'login_token_invalid' && error.code !== 'invalid_request') {
    return (
      <CardPage title="Signing in did not work">
        <div style={{ marginTop: 16 }}>
          <Problem error={error.toBody()} announce />
        </div>
        <p>Your link may still be good: open it once more. A new one comes from</p>
        <LoginCommand />
      </CardPage>
    );
  }
  return (
    <CardPage title="This login link no longer works">
      <p role="alert">A link works once, and only for a short time. Get a new one on the computer that runs Airlock:</p>
      <LoginCommand />
      <p>Then open the address that it prints, in this browser.</p>
    </CardPage>
  );
}

function LoginCommand() {
  return (
    <code className={styles.command}>
      <span className={styles.prompt}>$ </span>npx airlock login-url
    </code>
  );
}
