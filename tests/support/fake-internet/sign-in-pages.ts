/**
 * The part of a simulated provider that a person sees: log in, consent, and back to the CLI. The same for each provider
 * but for its brand; what an authorize request must carry is the provider's own business.
 */
import { randomBytes } from 'node:crypto';
import { consentPage, errorPage, loginPage, type Brand } from './pages.js';
import { formOf, html, redirect, type WebRequest, type WebResponse } from './web.js';

export interface Account {
  email: string;
  password: string;
}

/** How often each step of a sign-in was reached; a test asserts on these. */
export interface SignInCounts {
  authorizeRequests: number;
  wrongPasswords: number;
  logins: number;
  consents: number;
  denials: number;
}

export const noSignIns = (): SignInCounts => ({
  authorizeRequests: 0,
  wrongPasswords: 0,
  logins: 0,
  consents: 0,
  denials: 0,
});

/** What an authorize request asks for, as far as these pages care. */
export interface Transaction {
  redirectUri: string;
  state: string;
}

export interface SignInPagesOptions<T extends Transaction> {
  brand: Brand;
  account: Account;
  counts: SignInCounts;
  /** Called once the person agreed. */
  issueCode(transaction: T): string;
  /** Further members of the callback's query when the person agreed. */
  callbackExtras?: Readonly<Record<string, string>>;
}

export interface SignInPages<T extends Transaction> {
  /** Sends the person to the login page, and from there to consent. */
  begin(transaction: T): WebResponse;
  /** Sends the person to the login page, and from there to this path of the provider's own, `?challenge=` added. */
  beginElsewhere(path: string): WebResponse;
  /** Whether a person has logged in under this challenge, and is not done yet. */
  isLoggedIn(challenge: string): boolean;
  /** The challenge is used up. */
  end(challenge: string): void;
  /** The answer of the page that is asked for, or undefined when these pages have no such. */
  answer(request: WebRequest): WebResponse | undefined;
}

export function createSignInPages<T extends Transaction>(options: SignInPagesOptions<T>): SignInPages<T> {
  const { brand, account, counts } = options;
  const attempts = new Map<string, { transaction: T | null; next: string; loggedIn: boolean }>();
  const isLoggedIn = (challenge: string): boolean => attempts.get(challenge)?.loggedIn === true;

  function start(transaction: T | null, next: string): WebResponse {
    const challenge = randomBytes(16).toString('hex');
    attempts.set(challenge, { transaction, next, loggedIn: false });
    return redirect(302, `/log-in?challenge=${challenge}`);
  }

  const unknownTransaction = (): WebResponse =>
    html(400, errorPage(brand, `This sign-in has expired or was already finished. Start again from ${brand.product}.`));

  function showLogin({ query }: WebRequest): WebResponse {
    const challenge = query.get('challenge') ?? '';
    return attempts.has(challenge) ? html(200, loginPage(brand, { challenge })) : unknownTransaction();
  }

  function logIn(request: WebRequest): WebResponse {
    const form = formOf(request);
    const challenge = form.get('challenge') ?? '';
    const attempt = attempts.get(challenge);
    if (attempt === undefined) return unknownTransaction();
    const email = form.get('email') ?? '';
    if (email !== account.email || form.get('password') !== account.password) {
      counts.wrongPasswords += 1;
      return html(400, loginPage(brand, { challenge, email, error: 'Incorrect email address or password' }));
    }
    counts.logins += 1;
    attempt.loggedIn = true;
    return redirect(303, `${attempt.next}?challenge=${challenge}`);
  }

  function showConsent({ query }: WebRequest): WebResponse {
    const challenge = query.get('challenge') ?? '';
    if (!isLoggedIn(challenge)) return unknownTransaction();
    return html(200, consentPage(brand, challenge, account.email));
  }

  function decide(request: WebRequest): WebResponse {
    const form = formOf(request);
    const challenge = form.get('challenge') ?? '';
    const attempt = attempts.get(challenge);
    if (attempt === undefined || attempt.transaction === null || !attempt.loggedIn) return unknownTransaction();
    attempts.delete(challenge);
    const { transaction } = attempt;
    const callback = new URL(transaction.redirectUri);
    callback.searchParams.set('state', transaction.state);
    if (form.get('decision') !== 'allow') {
      counts.denials += 1;
      callback.searchParams.set('error', 'access_denied');
      callback.searchParams.set('error_description', 'The user refused to sign in.');
      return redirect(302, callback.href);
    }
    counts.consents += 1;
    callback.searchParams.set('code', options.issueCode(transaction));
    for (const [name, value] of Object.entries(options.callbackExtras ?? {})) callback.searchParams.set(name, value);
    return redirect(302, callback.href);
  }

  const pages: Record<string, (request: WebRequest) => WebResponse> = {
    'GET /log-in': showLogin,
    'POST /log-in': logIn,
    'GET /consent': showConsent,
    'POST /consent': decide,
  };
  return {
    begin: (transaction) => start(transaction, '/consent'),
    beginElsewhere: (path) => start(null, path),
    isLoggedIn,
    end: (challenge) => void attempts.delete(challenge),
    answer: (request) => pages[`${request.method} ${request.path}`]?.(request),
  };
}
