/** Between the bar and the desktop: why a try failed, the code for another device, and the field for a pasted code. */
import type { LoginSetting } from '@airlock/contract/provider/facts';
import type { Provider } from '@airlock/contract/provider/provider';
import { isOwnPage } from '@airlock/contract/provider/own-page';
import type { Session } from '@airlock/contract/session';
import { AppError } from '@airlock/contract/errors';
import { Button } from '@mantine/core';
import { useState, type FormEvent } from 'react';
import { CopyButton } from '../ui/copy-button.js';
import fields from '../ui/field.module.css';
import { Problem } from '../ui/problem.js';
import styles from './assistance.module.css';
import { hasFailedTry } from './guidance.js';
import { NoOwnPage } from './no-own-page.js';
import { OwnBrowser } from './own-browser.js';
import { PasteForm } from './paste-form.js';
import { useSessionAction } from './use-session-action.js';

interface AssistanceProps {
  session: Session;
  provider: Provider;
  onOtherWays: () => void;
}

export function Assistance({ session, provider, onOtherWays }: AssistanceProps) {
  const { login } = session;
  if (hasFailedTry(session)) return <FailedTry session={session} provider={provider} onOtherWays={onOtherWays} />;
  if (session.status !== 'awaiting_user_auth' || login === null) return null;
  // The controller has looked at it, too: a row may be older than that.
  if (login.deviceCode && !(provider.login && isOwnPage(provider.login, login.deviceCode.url)))
    return <NoOwnPage provider={provider} />;
  if (login.method === 'callback')
    return login.takesCode && login.deviceCode !== null ? (
      <OwnBrowser session={session} provider={provider} page={login.deviceCode.url} />
    ) : null;
  return (
    <>
      {login.deviceCode && <DeviceCode session={session} provider={provider} code={login.deviceCode} />}
      {login.takesCode && !login.deviceCode?.code && <PasteCode session={session} provider={provider} />}
    </>
  );
}

function FailedTry({ session, provider, onOtherWays }: AssistanceProps) {
  const { notice } = session;
  const wanted = notice?.code === 'setting_needed' ? notice.details?.['setting'] : undefined;
  const setting = provider.login?.settings?.find(({ name }) => name === wanted);
  const again = useSessionAction(session.id, (api) => api.restartLogin(session.id, 'browser'));
  return (
    <section className={styles.strip} aria-label="Why the last try failed" data-testid="failed-try">
      <div className={styles.words}>
        {notice && <Problem error={notice} announce />}
        {setting && <SettingForm session={session} setting={setting} />}
      </div>
      <div className={styles.actions}>
        <Button size="sm" loading={again.isPending} onClick={() => again.mutate(undefined)} data-testid="login-again">
          Try again
        </Button>
        <Button size="sm" variant="default" onClick={onOtherWays}>
          Other ways
        </Button>
      </div>
    </section>
  );
}

/** What the CLI has to know besides the login, which goes on with it at once. */
function SettingForm({ session, setting }: { session: Session; setting: LoginSetting }) {
  const [value, setValue] = useState('');
  const send = useSessionAction(session.id, (api, text: string) =>
    api.restartLogin(session.id, 'browser', { [setting.name]: text }),
  );
  const given = value.trim();
  const looksWhole = setting.pattern.exec(given)?.[0] === given;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    send.mutate(given);
  };
  return (
    <form className={styles.asked} onSubmit={submit} data-testid={`setting-${setting.name}`}>
      <label className={styles.reason} htmlFor="login-setting">
        {setting.label}
      </label>
      <div className={fields.row}>
        <input
          id="login-setting"
          className={fields.field}
          value={value}
          onChange={(event) => setValue(event.target.value)}
          autoComplete="off"
          spellCheck={false}
          maxLength={256}
          aria-describedby="login-setting-note"
        />
        <Button size="sm" type="submit" disabled={given === '' || !looksWhole} loading={send.isPending}>
          Go on with it
        </Button>
      </div>
      <p id="login-setting-note" className={styles.note}>
        {setting.note}
      </p>
      {send.error !== null && <Problem error={AppError.from(send.error).toBody()} announce />}
    </form>
  );
}

function DeviceCode({
  session,
  provider,
  code,
}: Pick<AssistanceProps, 'session' | 'provider'> & { code: { url: string; code: string | null } }) {
  return (
    <section className={styles.strip} aria-label="Sign in with a code" data-testid="device-code">
      <div className={styles.words}>
        <p className={styles.reason}>
          {session.notice === null
            ? `You chose to sign in to ${provider.vendor} with a code, on this or any other device.`
            : `Signing in with a code now, because: ${session.notice.message}`}
        </p>
        <ol className={styles.list}>
          <li>
            <span>Open</span>{' '}
            <a href={code.url} target="_blank" rel="noreferrer" data-testid="device-url">
              {code.url}
            </a>{' '}
            <CopyButton text={code.url} what="the address" />
          </li>
          <li>
            {code.code === null ? (
              <span>Sign in there; the page shows a code at the end, which belongs into the field below</span>
            ) : (
              <>
                <span>Sign in there and type</span>{' '}
                <strong className={styles.code} data-testid="device-user-code">
                  {code.code}
                </strong>{' '}
                <CopyButton text={code.code} what="the code" />
              </>
            )}
          </li>
        </ol>
        <p className={styles.note}>
          This page goes on by itself. Use only the code that you see here, never one that somebody sends you.
        </p>
      </div>
    </section>
  );
}

function PasteCode({ session, provider }: Pick<AssistanceProps, 'session' | 'provider'>) {
  return (
    <section className={styles.strip} aria-label="Paste a code" data-testid="paste-code">
      <PasteForm
        session={session}
        label={`If ${provider.vendor} shows you a code at the end, paste it here: it goes straight to ${provider.name}, and is kept nowhere.`}
        action="Send the code"
      />
    </section>
  );
}
