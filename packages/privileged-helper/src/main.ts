#!/usr/bin/env node
/** The privileged helper: the one program of Airlock that needs root (docs/privileged-helper.md). */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { AppError } from '@airlock/contract/errors';
import { helperSocket } from '@airlock/contract/privileged';
import { readConfig, type HelperConfig } from './config.js';
import { stepAside } from './jail/cgroup.js';
import { serve } from './serve.js';
import { sweep } from './vm.js';

const usage = `Usage: airlock-privileged-helper serve|sweep|listen --user NAME --programs NAMES [--run FOLDER] [--socket PATH]

serve    serves one connection on standard input and output, as systemd starts it for each
sweep    gives back what a killed helper has left
listen   listens on --socket (${helperSocket} unless given) and starts a serve for each connection: for hosts without systemd

  --user NAME       whom runners run as (or UID:GID); relays into networks of VMs run as the same
  --programs NAMES  VMMs that it may start: names in /usr/bin or absolute paths, comma separated
  --home FOLDER     AIRLOCK_HOME of the controller; /var/lib/airlock unless given
  --memory FOLDER   the controller's folder in memory, XDG_RUNTIME_DIR; /run/airlock unless given
  --ids N-N         user ids for VMMs; 2000000000-2000000999 unless given
  --run FOLDER      where it keeps what it makes; /run/airlock-helper unless given
  --help            shows this text
`;

const over = new AbortController();
process.on('SIGTERM', () => over.abort());
process.on('SIGINT', () => over.abort());

async function listen(config: HelperConfig, args: readonly string[]): Promise<void> {
  const path = config.socket ?? helperSocket;
  await sweep(config);
  await rm(path, { force: true });
  const server = createServer({ pauseOnConnect: true }, (connection) => {
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), 'serve', ...args], {
      stdio: [connection, connection, 'inherit'],
    });
    child.on('error', ({ message }) => process.stderr.write(`${message}\n`));
    connection.destroy();
  });
  const before = process.umask(0o177);
  await once(server.listen(path), 'listening');
  process.umask(before);
  await chown(path, config.uid, config.gid);
  await once(over.signal, 'abort');
  await new Promise((resolve) => server.close(resolve));
}

/** A start of a VMM says so again; networks can be made all the same. */
const complain = (error: unknown): void => void process.stderr.write(`${AppError.inItsWords(error).message}\n`);

async function main(args: string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(usage);
    return 0;
  }
  const { command, config } = readConfig(args);
  if (command === 'serve' || command === 'listen') await stepAside().catch(complain);
  if (command === 'serve') {
    await sweep(config);
    await serve(config, process.stdin, process.stdout, over.signal);
  } else if (command === 'sweep') await sweep(config);
  else if (command === 'listen')
    await listen(
      config,
      args.filter((arg) => arg !== 'listen'),
    );
  else {
    process.stderr.write(usage);
    return 2;
  }
  return 0;
}

try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  const { code, message, hint } = AppError.inItsWords(error);
  process.stderr.write(`${[`${code}: ${message}`, hint].filter(Boolean).join('\n')}\n`);
  process.exit(2);
}
