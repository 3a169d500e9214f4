/** A program in place of a provider's CLI: says what its recordings say, and writes a login as the CLI would. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProviderId } from '@airlock/contract/provider/provider';
import { providers } from '@airlock/contract/provider/registry';
import { readCases, readRecording } from '@airlock/contract/provider/testing';

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
const whenAskedFor = (argv: readonly string[], answer: string): string =>
  `[ "$*" = ${quote(argv.slice(1).join(' '))} ] && { ${answer}; exit $?; }`;

/** Puts it into `folder`; it takes the commands of the provider's file and no others. */
export async function addStandIn(id: ProviderId, folder: string): Promise<void> {
  const { login, prompt, program, version } = providers[id];
  const cases = await readCases(id);
  const told = join(folder, `${program}-told`);
  await mkdir(told, { recursive: true });
  /** A shell command that prints this text. */
  async function saying(name: string, text: string): Promise<string> {
    await writeFile(join(told, name), text);
    return `cat ${quote(join(told, name))}`;
  }

  const commands = [whenAskedFor(version.argv, `echo ${quote(`${program} 1.2.3`)}`)];
  const answered = cases.prompts.find((one) => 'answer' in one);
  if (prompt && answered) {
    const output = await readRecording(id, answered.file);
    commands.push(whenAskedFor(prompt.argv, `cat >/dev/null; ${await saying('prompt', output)}`));
  }
  if (login) {
    const [proof] = cases.proofs;
    commands.push(whenAskedFor(login.proof.argv, await saying('proof', proof?.output ?? '')));
    const [recording] = cases.recordings;
    const writes = Array.from(cases.complete[0]?.files ?? [], async ([path, text], index) => {
      const target = `"$HOME"/${quote(path)}`;
      return `mkdir -p "$(dirname ${target})"; ${await saying(`file-${index}`, text)} >${target}; chmod 600 ${target}`;
    });
    const shown = await saying('login', await readRecording(id, recording?.file ?? ''));
    commands.push(whenAskedFor(login.argv, [shown, ...(await Promise.all(writes))].join('; ')));
  }
  const path = join(folder, program);
  await writeFile(
    path,
    ['#!/bin/sh', ...commands, 'echo "not a command of this CLI: $*" >&2', 'exit 9', ''].join('\n'),
  );
  await chmod(path, 0o755);
}
