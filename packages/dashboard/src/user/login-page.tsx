/** /login: signs in with the link's token, or says how to get a new link. */
import { AppError } from '@airlock/contract/errors';
import { CardPage } from '../ui/page.js';
import { Problem } from '../ui/problem.js';
import { useTitle } from '../ui/use-title.js';
import { LoginHelp } from './login-help.js';
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
      <p>Airlock has no passwords: you sign in with a link that works once.</p>
      <LoginHelp />
    </CardPage>
  );
}

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
