/** The pages of the simulated providers: one centred card each, all of it visible in a window of 860x600. */
import { css, pageColours } from './colours.js';

const style = `
  * { box-sizing: border-box; }
  body { margin: 0; min-height: 100vh; display: flex; flex-direction: column; align-items: center; justify-content: center;
    background: #f7f7f8; color: #1f2328; font: 15px/1.45 "Helvetica Neue", Arial, "DejaVu Sans", "Liberation Sans", sans-serif; }
  main { width: 400px; padding: 28px 36px 26px; background: #fff; border: 1px solid #e3e5e8; border-radius: 14px;
    box-shadow: 0 6px 24px rgba(0,0,0,.07); }
  .mark { display: block; margin: 0 auto 10px; }
  h1 { margin: 0 0 4px; font-size: 25px; font-weight: 600; text-align: center; }
  .lead { margin: 0 0 18px; text-align: center; color: #5c6470; }
  label { display: block; margin: 0 0 5px; font-weight: 600; font-size: 14px; }
  input { display: block; width: 100%; height: 46px; margin: 0 0 16px; padding: 0 12px; font: inherit; background: #fff;
    border-width: 3px; border-style: solid; border-radius: 8px; outline: none; }
  input:focus { box-shadow: 0 0 0 3px #e6e8eb; }
  button { display: block; width: 100%; height: 48px; border: 0; border-radius: 8px; color: #fff; font: inherit; font-weight: 600;
    cursor: pointer; }
  button:focus-visible { outline: 3px solid #111; outline-offset: 2px; }
  .error { margin: 0 0 14px; padding: 9px 12px; border-radius: 8px; color: #fff; background: ${css(pageColours.errorBanner)}; }
  .who { margin: 0 0 14px; padding: 10px 12px; border: 1px solid #e3e5e8; border-radius: 8px; text-align: center; }
  ul { margin: 0 0 18px; padding-left: 22px; color: #3d4450; }
  .pair { display: flex; gap: 12px; }
  footer { margin-top: 14px; font-size: 12px; color: #8b919a; }`;

const mark = `<svg class="mark" width="44" height="44" viewBox="0 0 44 44" fill="none" stroke="#1f2328" stroke-width="3" aria-hidden="true">
  ${[0, 60, 120].map((angle) => `<ellipse cx="22" cy="22" rx="9" ry="18" transform="rotate(${angle} 22 22)"/>`).join('')}</svg>`;

function page(title: string, body: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${title}</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><style>${style}</style></head>
<body><main>${mark}${body}</main><footer>Simulated provider of the Airlock tests. No real account works here.</footer></body></html>`;
}

/** What tells the pages of one provider from those of another. */
export interface Brand {
  vendor: string;
  /** What is signed in to. */
  product: string;
  /** Such as "ChatGPT account". */
  account: string;
  /** What the consent page says will be allowed. */
  asks: readonly string[];
}

export interface LoginPageOptions {
  challenge: string;
  email?: string;
  error?: string;
}

/** E-mail, password and one button; the e-mail field has the focus, Tab goes down the form. */
export function loginPage(brand: Brand, { challenge, email = '', error }: LoginPageOptions): string {
  return page(
    `Log in - ${brand.vendor}`,
    `<h1>Welcome back</h1><p class="lead">Log in to continue to ${brand.product}</p>
${error === undefined ? '' : `<p class="error" role="alert">${escapeHtml(error)}</p>`}
<form method="post" action="/log-in">
<input type="hidden" name="challenge" value="${escapeHtml(challenge)}">
<label for="email">Email address</label>
<input id="email" name="email" type="email" required autocomplete="username" ${email === '' ? 'autofocus' : ''}
 value="${escapeHtml(email)}" style="border-color:${css(pageColours.emailField)}">
<label for="password">Password</label>
<input id="password" name="password" type="password" required autocomplete="current-password" ${email === '' ? '' : 'autofocus'}
 style="border-color:${css(pageColours.passwordField)}">
<button type="submit" style="background:${css(pageColours.primaryButton)}">Continue</button>
</form>`,
  );
}

/** Who is signed in, what is asked for, and two buttons side by side. */
export function consentPage(brand: Brand, challenge: string, email: string): string {
  return page(
    `Sign in to ${brand.product} - ${brand.vendor}`,
    `<h1>Sign in to ${brand.product}</h1><p class="lead">${brand.product} wants to use your ${brand.account}</p>
<p class="who">${escapeHtml(email)}</p>
<ul>${brand.asks.map((ask) => `<li>${escapeHtml(ask)}</li>`).join('')}</ul>
<form method="post" action="/consent" class="pair">
<input type="hidden" name="challenge" value="${escapeHtml(challenge)}">
<button name="decision" value="deny" style="background:${css(pageColours.denyButton)}">Deny</button>
<button name="decision" value="allow" style="background:${css(pageColours.allowButton)}">Allow</button>
</form>`,
  );
}

/** Where the code that a CLI shows is typed. */
export function deviceCodePage({ challenge, error }: { challenge: string; error?: string }): string {
  return page(
    'Enter code - OpenAI',
    `<h1>Enter the code</h1><p class="lead">The one that Codex shows on your other device</p>
${error === undefined ? '' : `<p class="error" role="alert">${escapeHtml(error)}</p>`}
<form method="post" action="/codex/device/code">
<input type="hidden" name="challenge" value="${escapeHtml(challenge)}">
<label for="user_code">Code</label>
<input id="user_code" name="user_code" required autocomplete="off" autofocus style="border-color:${css(pageColours.emailField)}">
<button type="submit" style="background:${css(pageColours.primaryButton)}">Continue</button>
</form>`,
  );
}

/** A code to copy into a CLI's terminal. */
export function codePage(brand: Brand, code: string): string {
  return page(
    `Your code - ${brand.vendor}`,
    `<h1>Almost done</h1><p class="lead">Paste this code into ${brand.product}</p>
<label for="code">Code</label>
<input id="code" readonly value="${escapeHtml(code)}" style="border-color:${css(pageColours.emailField)}">`,
  );
}

/** The end of a sign-in by code. */
export function deviceDonePage(): string {
  return page('Signed in - OpenAI', '<h1>Signed in to Codex</h1><p class="lead">You may close this page.</p>');
}

/** What a person sees when the link itself is wrong. */
export function errorPage(brand: Brand, problem: string): string {
  return messagePage(brand, 'Something went wrong', problem);
}

/** A page that only says something. */
export function messagePage(brand: Brand, title: string, message: string): string {
  return page(`${title} - ${brand.vendor}`, `<h1>${escapeHtml(title)}</h1><p class="lead">${escapeHtml(message)}</p>`);
}

function escapeHtml(value: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return value.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
