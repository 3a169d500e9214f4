/** What a provider's file says: data and pure functions, nothing of Airlock. Safe to load in a browser. */
import type { z } from 'zod';

/**
 * What of a file leaves its VM, is sealed and is delivered: the members of a JSON document, each with its type and its bounds
 * (`credential-content.ts` has the usual ones); or, of a text, the lines that match as a whole. A member that the CLI can do without is
 * a `maybe`. Nothing that a CLI would run, load or go to may be among them.
 */
export type CredentialContent = z.ZodObject | RegExp;

export type CredentialFile = {
  /** Relative to the home folder. */
  path: string;
  /** Octal permission bits that the CLI itself uses; the file gets no others. */
  mode: number;
  /** False: a login is complete without it. */
  required: boolean;
  keeps: CredentialContent;
} & (
  | /** Delivered, and removed, as a whole. */ { delivery: 'replace' }
    /**
     * The CLI keeps other things in the same JSON document: only the delivered members are put in, however deep, and only `members`
     * (`outer.inner`), the ones that are the login, are removed with it and replaced as a whole. `comments`: the CLI passes over those
     * of JavaScript in it, so a person may have written some.
     */
  | { delivery: 'json'; members: readonly string[]; comments?: true }
  /** Lines `NAME=value`: only those of these variables are the login; every other line of the file stays as it is. */
  | { delivery: 'variables'; variables: readonly string[] }
);

export type CredentialVerdict =
  /** Complete: a CLI would accept it. */
  | { complete: true }
  /** What is missing, without any content. */
  | { complete: false; reason: string };

/** Text of files by path relative to the home folder. */
export type FileTexts = ReadonlyMap<string, string>;

export interface CredentialExpiry {
  /** When the access token ends, Unix epoch milliseconds. */
  expiresAt: number;
  /** The CLI can get a new one by itself. */
  renewable: boolean;
}

/** What is typed when the terminal shows a question. Each is answered once in a login. */
export interface TerminalAnswer {
  /** Matched against the text on the screen, escape sequences and line wraps removed. */
  question: RegExp;
  /** Keys, such as `\r`. */
  keys: string;
}

/** A way to sign in without a browser inside the VM. */
export interface DeviceCodeLogin {
  argv: readonly [string, ...string[]];
  env?: Readonly<Record<string, string>>;
  /** The page to open on any device, and the code to type there, as they stand on the terminal: a pattern's group, or the whole match. */
  url: RegExp;
  /** null: the page takes no code but shows one at its end, which goes back to the CLI (`pasteCode`). */
  code: RegExp | null;
}

/** A CLI that asks for a code that its provider's page shows, when the page cannot reach the CLI's callback. */
export interface PasteCodeLogin {
  /** On the terminal when a code may be pasted. */
  prompt: RegExp;
  /** What a whole code looks like; anything else is refused before it is typed. */
  code: RegExp;
}

/** A login by API key: no browser, no VM, only files. */
export interface ApiKeyLogin {
  /** What a key looks like. */
  key: RegExp;
  /** The credential files that such a login consists of. */
  files(key: string): FileTexts;
}

/** Something that the CLI says when it, or its provider, refuses a login; and what a person is told then. */
export interface Refusal {
  /** In what the CLI prints at the login, at the proof (with what the vendor says to `question`) or for a prompt. A CLI may end with 0 all the same, and leave a whole credential. */
  words: RegExp;
  /** One sentence on what was refused and why. */
  reason: string;
  /** What the person can do. */
  hint: string;
  /** The name of the setting of `ProviderLogin.settings` that is missing. */
  asks?: string;
  /** The provider has taken the login back: nothing but another one helps. */
  takenBack?: true;
  /** At a prompt, and not of the login, which is as good as before: a limit, a model, an overload. */
  ofUse?: true;
  /** Nobody has refused anything: the CLI has waited as long as it does. The login begins again while the person has time. */
  again?: true;
}

/** What the vendor's own server is asked with a login; the answer costs nothing. */
export interface VendorQuestion {
  /** At one of `hosts`. */
  url: string;
  /** The login is in them. */
  headers: Readonly<Record<string, string>>;
  /** Statuses that mean that the vendor does not take this login. Any other says nothing against it: others than the vendor give some, too. */
  refusedBy: readonly number[];
}

/** What a CLI has to know of some accounts besides their login; it travels with the credential. */
export interface LoginSetting {
  /** In the API and in `airlock auth answer`. */
  name: string;
  /** For the person: what it is, and where it is found. */
  label: string;
  note: string;
  /** Must match as a whole. */
  pattern: RegExp;
  /** One of the `variables` of the credential file `file`, in which the CLI looks for it. */
  variable: string;
  file: string;
}

/** How the CLI of a provider signs in. `null` in `Provider.login` while Airlock cannot drive it yet. */
export interface ProviderLogin {
  /** Program and arguments, run in a PTY as the desktop user with DISPLAY and BROWSER set. */
  argv: readonly [string, ...string[]];
  /** Added to the environment of the login. */
  env?: Readonly<Record<string, string>>;
  /** Size of the terminal; some CLIs draw nothing in a small one. 80 x 24 when absent. */
  terminal?: { columns: number; rows: number };
  /** JSON documents whose members must be there, with these values, before the CLI starts; what else is in them stays. `comments`: as of a credential file. */
  before?: readonly { path: string; mode: number; text: string; comments?: true }[];
  answers?: readonly TerminalAnswer[];
  /** Finds the sign-in page in the CLI's output once escape sequences and line wraps are removed. */
  authorizeUrl: RegExp;
  /** For a CLI that opens its page without showing the address: what stands on the screen by then, and the page's host. */
  opensUnseen?: { screen: RegExp; host: string };
  /**
   * Every host that the CLI and its sign-in page must reach. The first is also asked to find out whether a VM, or the upstream
   * proxy, has a way to the internet at all.
   */
  hosts: readonly [string, ...string[]];
  credentialFiles: readonly [CredentialFile, ...CredentialFile[]];
  /** Decides from the text of the files whether the login is complete. Never throws. */
  inspectCredential(files: FileTexts): CredentialVerdict;
  /**
   * What of the captured files is handed over, with the first-run and trust flags that a headless run needs added.
   * Called on a complete credential only; applying it to its own result changes nothing. Absent: the files as they are.
   */
  handOver?(files: FileTexts): FileTexts;
  /** What the files say about their own end; null where they say nothing. Called on a complete credential. Never throws. */
  expiry?(files: FileTexts): CredentialExpiry | null;
  /** The CLI's own word on whether it is logged in; run in the CLI VM. */
  proof: {
    argv: readonly [string, ...string[]];
    env?: Readonly<Record<string, string>>;
    accepts(exitCode: number, output: string): boolean;
  };
  /**
   * For a CLI that answers `proof` without asking anybody: what its vendor is then asked, from the CLI VM, about a complete credential. null
   * where nothing free tells, or the answer would be no although the login is well (an access token that is to be renewed; `now` is in
   * Unix epoch milliseconds). A refusal stands behind the CLI's words as `<host> answers <status>: <its reason>`. Never throws.
   */
  question?(files: FileTexts, now: number): VendorQuestion | null;
  settings?: readonly LoginSetting[];
  /** What is known of refusals, the first that fits counts. Each is recorded (`cases.json`). */
  refusals?: readonly Refusal[];
  deviceCode: DeviceCodeLogin | null;
  pasteCode: PasteCodeLogin | null;
  /**
   * The address that `authorizeUrl` finds also serves a browser elsewhere: it leads back to a port of the CLI on loopback, with `state`,
   * and the address there, pasted, ends the login.
   */
  callback?: true;
  apiKey: ApiKeyLogin | null;
}

/** How a CLI runs one prompt without a terminal, with the login that it finds in its home. */
export interface ProviderPrompt {
  /** Program and arguments. The prompt's text comes on standard input: an argument could be read by other programs. */
  argv: readonly [string, ...string[]];
  env?: Readonly<Record<string, string>>;
  /**
   * What one line tells the person: text to append to the answer (with its line breaks), why the CLI gives up, what it tries again or
   * waits for and why (words that follow the CLI's name), or nothing. Pure; never throws. Of standard error only the latter is
   * told, and its tail in a failure.
   */
  read(line: string): { text: string } | { error: string } | { status: string } | null;
}

/** How the CLI comes into the golden image; its version and checksums stand in image-builder/clis.lock.json. */
export interface ProviderImage {
  /** The npm package of the CLI. No install script of it runs. */
  package: string;
  /**
   * For a CLI that is a native program, which `package` only wraps: the vendor's package of that program for Linux, x64 and glibc, in
   * the same version, and the program's file there. It is installed in the place of `package` and under its name, so that the
   * Node that the wrapper asks for does not count.
   */
  native?: { package: string; file: string };
  /** Folders below the package, as `find -path` patterns, that no VM needs. */
  leftOut?: readonly string[];
  /** A folder of the package with the script that is started there: scripts that nothing can load from it are left out. */
  bundle?: { folder: string; entry: string };
}

/** How the CLI tells its version. */
export interface ProviderVersion {
  argv: readonly [string, ...string[]];
  env?: Readonly<Record<string, string>>;
  /** For software emulation, where a CLI takes half a minute to say it; 90 s when absent. */
  timeoutMs?: number;
}

/** Everything that is particular about one provider. Its id is the name under which registered.ts exports it. */
export interface ProviderFacts {
  /** Other names that the API accepts. */
  aliases: readonly string[];
  name: string;
  vendor: string;
  description: string;
  /** What a person has to know before they sign in: who cannot, and what to do then. */
  notice?: string;
  /** Name of the CLI's program. */
  program: string;
  image: ProviderImage;
  version: ProviderVersion;
  /** Variables, besides the usual ones of Node and OpenSSL, that name the CLI a file of further certificate authorities. */
  caVariables?: readonly string[];
  login: ProviderLogin | null;
  /** `null` while Airlock cannot run prompts with it. */
  prompt: ProviderPrompt | null;
}
