/**
 * A shell in CLI VMs, for tests that look at a home or put something there: by the initrd, a program that hands its prompt to a shell
 * of root, or runs it itself, takes the place of the Codex CLI. The golden image, and every VM of another home, stay as they are.
 */
import { PromptFrame, type CredentialBundle } from '@airlock/contract/guest';
import type { JsonClient } from '@airlock/contract/http-client';
import { withHelper } from '@airlock/image-builder/gate/helper';

const folder = '/run/airlock-shell';

/** First line of what the program runs itself, as the desktop user. */
const ofUser = '# of the user';

/** Answers as `codex exec --json` does, a message a line, and to everything else as a CLI that is signed in. */
const standIn = String.raw`#!/bin/sh
[ "$1" = exec ] || { echo 'Logged in using ChatGPT'; exit 0; }
prompt=$(cat)
case $prompt in
'${ofUser}'*)
	sh -ec "$prompt" </dev/null 2>&1
	echo "ended with $?"
	;;
*)
	printf '%s\n' "$prompt" >${folder}/asked
	cat ${folder}/told
	;;
esac | tr '\t' ' ' |
	sed -e 's/[\\"]/\\&/g' -e 's/.*/{"type":"item.completed","item":{"type":"agent_message","text":"&"}}/'
`;

const loop = `while cat ${folder}/asked >${folder}/script; do
	{
		sh -e ${folder}/script </dev/null
		echo "ended with $?"
	} >${folder}/told 2>&1
done
`;

const unit = `[Unit]
Description=Shell of a test
DefaultDependencies=no
[Service]
ExecStart=/bin/sh ${folder}/loop
`;

const heredoc = (path: string, text: string): string => `cat >${path} <<'END'\n${text}END\n`;

/** For `withHelper`, also behind another hook. */
export const shellHook = [
  `mkdir -p ${folder} /run/systemd/system/sysinit.target.wants`,
  `mkfifo -m 666 ${folder}/asked ${folder}/told`,
  heredoc(`${folder}/codex`, standIn),
  `chmod 755 ${folder}/codex`,
  heredoc(`${folder}/loop`, loop),
  heredoc('/run/systemd/system/airlock-shell.service', unit),
  'ln -s ../airlock-shell.service /run/systemd/system/sysinit.target.wants/airlock-shell.service',
  `mount -o bind ${folder}/codex /root/usr/local/bin/codex`,
  '',
].join('\n');

/** The image's initrd with the shell. */
export const withShell = (initrd: Buffer): Buffer => withHelper(initrd, shellHook);

/** What a VM must have in its home for its shell to be asked: the login of a Codex that nobody asks. */
export const shellLogin: CredentialBundle = {
  provider: 'codex',
  files: [
    {
      path: '.codex/auth.json',
      mode: 0o600,
      contentBase64: Buffer.from(JSON.stringify({ auth_mode: 'apikey', OPENAI_API_KEY: 'sk-test' })).toString('base64'),
    },
  ],
};

/**
 * Runs a script by root's `sh -e` in a CLI VM with this shell and login; `runner` is a client of its runner. One at a time.
 * @returns what it printed, with blanks in the place of tabs
 * @throws Error with that when it does not end with 0
 */
export async function shell(runner: JsonClient, script: string): Promise<string> {
  const timeoutMs = 120_000;
  const body = { provider: 'codex', prompt: script, timeoutMs };
  let text = '';
  for await (const line of await runner.lines('POST', '/guest/prompts', { body, timeoutMs })) {
    if (line.trim() === '') continue;
    const frame = PromptFrame.parse(JSON.parse(line));
    if ('error' in frame) throw new Error(JSON.stringify(frame.error));
    if ('chunk' in frame) text += frame.chunk;
  }
  const [, output = '', code] = /^(.*)ended with (\d+)\n$/s.exec(text) ?? [];
  if (code === '0') return output;
  throw new Error(`The script in the VM ended with ${code}:\n${text}`);
}

/** The same as the desktop user: what a CLI that the agent starts can do. @throws Error */
export const userShell = (runner: JsonClient, script: string): Promise<string> => shell(runner, `${ofUser}\n${script}`);
