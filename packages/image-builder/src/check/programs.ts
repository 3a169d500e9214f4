/** The programs that a person, the agent and Airlock need, and that they start. */
import type { Cli } from '../cli.js';
import { quote, type Check } from './shell.js';

/** Programs whose libraries must all be there, whatever was left out. */
const linked = ['Xvfb', 'x11vnc', 'openbox', 'xterm', 'xsetroot', 'node', 'git', 'curl', 'perl'];

/** With the variables that the CLI needs for it in front. */
const versionCommand = ({ tells: { argv, env = {} } }: Cli): string =>
  [...Object.entries(env).map(([name, value]) => `${name}=${quote(value)}`), ...argv.map(quote)].join(' ');

const program = (name: string): Check => ({ name: `which ${name}`, script: `command -v ${name}` });

/** `clis` in the very versions that the build has asked for. */
export function programChecks(clis: readonly Cli[]): Check[] {
  return [
    { name: 'node is v20', script: `node --version | grep -E '^v20[.]'` },
    ...clis.map((cli) => program(cli.command)),
    ...['x11vnc', 'Xvfb', 'openbox', 'xterm', 'curl', 'git', 'xdg-open', 'airlock-open-url', 'fscryptctl'].map(program),
    ...clis.map((cli) => ({
      name: `${cli.command} --version is ${cli.version}`,
      script: `${versionCommand(cli)} 2>&1 | grep -F '${cli.version}'`,
    })),
    {
      name: 'nothing lacks a library',
      script: `! for p in ${linked.join(' ')}; do ldd "$(command -v $p)"; done | grep 'not found'`,
    },
  ];
}
