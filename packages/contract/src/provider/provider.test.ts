/** What every provider's file has to be right about, shown by the recordings of its CLI. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FileTexts, ProviderLogin, ProviderPrompt } from './facts.js';
import { providerIds } from './provider.js';
import { refusalIn } from './refusal.js';
import { providers } from './registry.js';
import { isOwnPage } from './own-page.js';
import { readCases, readRecording } from './testing.js';

const all = await Promise.all(
  providerIds.map(async (id) => ({ id, provider: providers[id], cases: await readCases(id) })),
);
const withLogin = all.flatMap(({ provider, ...rest }) => (provider.login ? [{ ...rest, login: provider.login }] : []));
const withPrompt = all.flatMap(({ provider, ...rest }) => {
  const { prompt, login } = provider;
  return prompt ? [{ ...rest, prompt, login }] : [];
});

const handedOver = (login: ProviderLogin, files: FileTexts): FileTexts => login.handOver?.(files) ?? files;
const whole = (pattern: RegExp): RegExp => new RegExp(`^(?:${pattern.source})$`);
/** Files as they are compared: documents by their content. */
const documents = (files: FileTexts): Record<string, unknown> =>
  Object.fromEntries(
    Array.from(files, ([path, text]) => [path, text.startsWith('{') ? (JSON.parse(text) as unknown) : text]),
  );

describe.each(withLogin)('the credential of $id', ({ login, cases }) => {
  it.each(cases.complete)('is complete with $what', ({ files, expiry }) => {
    expect(login.inspectCredential(files)).toEqual({ complete: true });
    expect(login.expiry?.(files) ?? null).toEqual(expiry);
  });

  it.each(cases.incomplete)('is not complete with $what, and says what is missing', ({ files, reason }) => {
    expect(login.inspectCredential(files)).toMatchObject({
      complete: false,
      reason: expect.stringMatching(reason) as string,
    });
  });

  it.each(cases.complete)('is handed over as something that the CLI takes, and that stays as it is: $what', (one) => {
    const once = handedOver(login, one.files);
    expect(login.inspectCredential(once)).toEqual({ complete: true });
    expect(handedOver(login, once)).toEqual(once);
  });

  it.each(cases.handOver.length > 0 ? cases.handOver : [{ what: 'all of it', ...alike(cases.complete[0]?.files) }])(
    'is handed over with $what',
    ({ files, becomes }) => expect(documents(handedOver(login, files))).toEqual(documents(becomes)),
  );

  it('is judged, never thrown at, whatever the files hold', () => {
    const texts = cases.complete.flatMap(({ files }) => [...files.values()]);
    const some = [...texts, ...texts.map((text) => text.slice(0, 50)), 'null', '[]'];
    const text = fc.oneof(fc.string(), fc.json(), fc.constantFrom(...some));
    const paths = login.credentialFiles.map(({ path }) => path);
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...paths), text), (held) => {
        const files = new Map(Object.entries(held));
        if (!login.inspectCredential(files).complete) return;
        const once = handedOver(login, files);
        expect(login.inspectCredential(once)).toEqual({ complete: true });
        expect(handedOver(login, once)).toEqual(once);
        expect(() => login.expiry?.(once)).not.toThrow();
      }),
    );
  });

  it('consists of declared files of the home, and of nothing else', () => {
    const declared = login.credentialFiles.map(({ path }) => path);
    expect(new Set(declared).size).toBe(declared.length);
    for (const path of declared) expect(path).toMatch(/^(?!\/)(?!.*(?:^|\/)\.\.(?:\/|$))[A-Za-z0-9._/-]+$/);
    const named = [...cases.complete, ...cases.incomplete].flatMap(({ files }) => [...files.keys()]);
    expect(declared).toEqual(expect.arrayContaining(named));
  });
});

function alike(files: FileTexts = new Map()): { files: FileTexts; becomes: FileTexts } {
  return { files, becomes: files };
}

describe.each(withLogin)('the login of $id', ({ id, login, cases }) => {
  it('needs hosts of the internet, each once, and the host of its page among them', () => {
    for (const host of login.hosts) expect(host).toMatch(/^(?:[a-z0-9-]+\.)+[a-z]{2,}$/);
    expect(new Set(login.hosts).size).toBe(login.hosts.length);
    const pages = cases.recordings.flatMap(({ pageHost }) => pageHost ?? []);
    expect(login.hosts).toEqual(expect.arrayContaining(pages));
  });

  it.each(cases.proofs)('believes only the CLI’s own words: $what', ({ exitCode, output, accepted }) => {
    expect(login.proof.accepts(exitCode, output)).toBe(accepted);
  });

  it.each([...cases.recordings, ...cases.proofs])('knows what a refusal means: $file $what', async (one) => {
    const output = 'output' in one ? one.output : await readRecording(id, one.file);
    const found = refusalIn(login, output);
    if (one.refused === undefined) expect(found).toBeUndefined();
    else expect(found?.reason).toMatch(one.refused);
  });

  it('knows no refusal that is not recorded', async () => {
    const files = [...cases.recordings, ...cases.prompts].map(({ file }) => readRecording(id, file));
    const outputs = [...(await Promise.all(files)), ...cases.proofs.map(({ output }) => output)];
    const found = outputs.map((output) => refusalIn(login, output));
    expect(found).toEqual(expect.arrayContaining([...(login.refusals ?? [])]));
  });

  it('makes of an API key a login that is handed over as it is', () => {
    expect(cases.apiKey === null).toBe(login.apiKey === null);
    if (!cases.apiKey || !login.apiKey) return;
    const { accepted, refused, files } = cases.apiKey;
    expect(login.apiKey.key.test(accepted)).toBe(true);
    for (const other of refused) expect(login.apiKey.key.test(other), other).toBe(false);
    const made = login.apiKey.files(accepted);
    expect(documents(made)).toEqual(documents(files));
    expect(login.inspectCredential(made)).toEqual({ complete: true });
    expect(handedOver(login, made)).toEqual(made);
  });

  it('is recorded with a page that leads back to the CLI, where one from elsewhere can be pasted', () => {
    const shown = cases.recordings.filter(({ method }) => method === 'callback');
    expect(shown.length > 0).toBe(login.callback === true);
    for (const { deviceCode, takesCode } of shown) expect({ deviceCode, takesCode }).toMatchObject({ takesCode: true });
  });

  it('takes a code that the page shows as a whole, and no piece of it', () => {
    expect(cases.pasteCode === null).toBe(login.pasteCode === null);
    if (!cases.pasteCode || !login.pasteCode) return;
    const code = whole(login.pasteCode.code);
    expect(code.test(cases.pasteCode.accepted)).toBe(true);
    for (const other of cases.pasteCode.refused) expect(code.test(other), other).toBe(false);
  });
});

/** What a CLI's lines tell a person, all in all. */
function told(prompt: ProviderPrompt, output: string): { answer: string; errors: string[]; statuses: string[] } {
  const parts = output
    .trimEnd()
    .split('\n')
    .map((line) => prompt.read(line));
  return {
    answer: parts.map((part) => (part && 'text' in part ? part.text : '')).join(''),
    errors: parts.flatMap((part) => (part && 'error' in part ? [part.error] : [])),
    statuses: parts.flatMap((part) => (part && 'status' in part ? [part.status] : [])),
  };
}

describe.each(withLogin.filter(({ login }) => login.question))(
  'what the vendor of $id is asked',
  ({ login, cases }) => {
    const end = 4_000_000_000_000;
    it.each([...cases.complete, ...(cases.apiKey ? [{ what: 'a new API key', ...cases.apiKey }] : [])])(
      'goes to it alone, with the login in headers: $what',
      ({ files }) => {
        const question = login.question?.(files, 0) ?? null;
        if (question === null) return;
        expect(isOwnPage(login, question.url)).toBe(true);
        const texts = [...files.values()].join();
        const secrets = Object.values(question.headers).filter((value) =>
          texts.includes(value.replace(/^Bearer /, '')),
        );
        expect(secrets.length).toBeGreaterThan(0);
        for (const secret of secrets) expect(question.url).not.toContain(secret);
      },
    );

    it('is asked with a key, and not with what has ended', () => {
      if (cases.apiKey) expect(login.question?.(cases.apiKey.files, end)).not.toBeNull();
      const ended = cases.complete.filter(({ expiry }) => expiry !== null);
      for (const { files } of ended) expect(login.question?.(files, end)).toBeNull();
    });
  },
);

describe.each(withPrompt)('a prompt to $id', ({ id, login, prompt, cases }) => {
  it.each(cases.prompts)('is told as the person is to see it: $file', async (recorded) => {
    const { answer, errors, statuses } = told(prompt, await readRecording(id, recorded.file));
    expect(statuses).toEqual(recorded.statuses.map((words) => expect.stringMatching(words) as string));
    expect({ answer, errors }).toEqual({
      answer: recorded.answer ?? '',
      errors: recorded.error ? [expect.stringMatching(recorded.error)] : [],
    });
  });

  it.each(cases.prompts)('is refused for a reason that is known: $file', async ({ file, error, refused, answer }) => {
    const output = await readRecording(id, file);
    // Where the CLI tells no reason, the agent tells the end of standard error.
    const words = error ? told(prompt, output).errors.join() : output;
    const { reason } = (answer === undefined && refusalIn(login, words)) || {};
    if (refused === undefined) expect(reason).toBeUndefined();
    else expect(reason).toMatch(refused);
  });

  it('is recorded with an answer and with a failure', () => {
    const kinds = cases.prompts.flatMap((recorded) => Object.keys(recorded));
    expect(kinds).toEqual(expect.arrayContaining(['answer', 'error']));
  });

  it.each(cases.silentLines)('makes nothing of %j', (line) => expect(prompt.read(line)).toBeNull());

  it('is never among the arguments, which other programs can read', () => {
    expect(prompt.argv.filter((word) => /^(?:-p|--prompt)$/.test(word))).toEqual([]);
  });
});

describe.each(all)('the CLI of $id', ({ provider }) => {
  it('is one program in all commands', () => {
    const { program, version, login, prompt } = provider;
    const commands = [version, login, login?.proof, login?.deviceCode, prompt].flatMap((one) => one?.argv[0] ?? []);
    expect(new Set(commands)).toEqual(new Set([program]));
  });

  it('comes from a package of npm', () => {
    for (const name of [provider.image.package, provider.image.native?.package ?? provider.image.package])
      expect(name).toMatch(/^(?:@[a-z0-9-]+\/)?[a-z0-9-]+$/);
    // They stand in single quotes in a shell.
    const words = [...(provider.image.leftOut ?? []), ...Object.values(provider.image.bundle ?? {})];
    for (const word of words) expect(word).toMatch(/^[A-Za-z0-9._@*/-]+$/);
  });
});
