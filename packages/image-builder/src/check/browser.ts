/** The browser: which one it is, and what its policies keep it from. */
import type { PinnedBrowser } from '../chrome.js';
import type { Check } from './shell.js';
import { unitPath } from './units.js';

/** Policies that mission and design ask for by name; the rest is in the file. */
const policyCheck = `
  const policy = JSON.parse(require("fs").readFileSync("/etc/chromium/policies/managed/airlock.json"));
  const wanted = {
    PasswordManagerEnabled: false, MetricsReportingEnabled: false, PromotionsEnabled: false, BrowserSignin: 0,
    DnsOverHttpsMode: "off", QuicAllowed: false, WebRtcIPHandling: "disable_non_proxied_udp",
    RemoteDebuggingAllowed: false, DefaultBrowserSettingEnabled: false, NetworkPredictionOptions: 2,
  };
  for (const name in wanted) require("assert").strictEqual(policy[name], wanted[name], name);`;

/** Where chrome.sh puts Google's program; its own name for itself. */
const chrome = { program: '/opt/google/chrome/chrome', title: 'Google Chrome' } as const;

/** What is started as the browser, and, when it is not Debian's, that it has taken Chromium's place everywhere. */
function programOf(browser: PinnedBrowser | null): Check[] {
  const version = '/usr/lib/chromium/chromium --version';
  const name = 'the browser is a real one';
  if (browser === null) {
    return [
      { name, script: `${version} | grep -E '^Chromium [0-9]+'` },
      { name: 'the browser lacks no library', script: `! ldd /usr/lib/chromium/chromium | grep 'not found'` },
    ];
  }
  return [
    { name, script: `${version} | grep -F '${chrome.title} ${browser.version}'` },
    { name: 'the browser lacks no library', script: `! ldd ${chrome.program} | grep 'not found'` },
    {
      name: 'Google Chrome reads the policies of the image',
      script: `test "$(readlink -f /etc/opt/chrome/policies/managed)" = /etc/chromium/policies/managed`,
    },
    {
      name: 'Google Chrome does not update itself',
      script: `! find /etc/apt/sources.list.d /etc/cron.* -name '*google*' 2>/dev/null | grep .`,
    },
  ];
}

/** `browser` takes the place of Debian’s Chromium. */
export function browserChecks(browser: PinnedBrowser | null): Check[] {
  return [
    ...programOf(browser),
    {
      name: 'a web address opens in the visible browser',
      script: `test "$(readlink -f /usr/bin/x-www-browser)" = /usr/local/bin/airlock-open-url`,
    },
    {
      name: 'the browser can draw WebGL, in software',
      script: `test -s /usr/lib/chromium/libvk_swiftshader.so && grep -F -- --enable-unsafe-swiftshader ${unitPath('airlock-browser')}`,
    },
    {
      name: 'browser policy keeps the browser quiet and inside its proxy',
      script: `node -e '${policyCheck}'`,
    },
  ];
}
