/**
 * Plays the runner of one CLI VM where no VM is needed: answers on the VM's socket, passes /guest on to a real agent, and starts
 * that agent again when it ends, as systemd does in a guest. Standard input: {folder, agent, env, token, vmId, epoch, fromFuture}; with
 * `fromFuture` each object of the agent's answers has a member that nobody knows yet.
 */
import { spawn } from 'node:child_process';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';

const { folder, agent, env, token, vmId, epoch, fromFuture } = JSON.parse(readFileSync(0, 'utf8'));
const stat = readFileSync(`/proc/${process.pid}/stat`, 'utf8');
const identity = {
  pid: process.pid,
  startTicks: Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]),
  bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
};
const startedAt = Date.now();
const times = { startedAt, poweredOnAt: startedAt, vncAt: null, agentAt: startedAt, readyAt: startedAt };
const egress = { connections: 0, refused: 0, bytesUp: 0, bytesDown: 0, lastError: null };
const status = { vmId, epoch, revision: 1, phase: 'ready', runner: identity, vmm: null, ...times, egress, error: null };

function writeWhole(name, text) {
  writeFileSync(join(folder, `${name}.new`), text);
  renameSync(join(folder, `${name}.new`), join(folder, name));
}

let port = 0;
function startAgent() {
  port = 0;
  const child = spawn(process.execPath, [agent], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let text = '';
  child.stderr.on('data', (chunk) => {
    text = (text + String(chunk)).slice(-20_000);
    const found = /listening \{"port":(\d+)/.exec(text)?.[1];
    if (port !== 0 || found === undefined) return;
    port = Number(found);
    writeWhole('agent.pid', String(child.pid));
  });
  child.once('exit', startAgent);
}

function answer(response, code, body) {
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

const withMore = (_name, value) =>
  value !== null && typeof value === 'object' && !Array.isArray(value) ? { next: { more: true }, ...value } : value;

/** The agent's answer; of one that is from the future each line, as it comes. */
async function passOn(reply, response) {
  const headers = { ...reply.headers };
  if (fromFuture) delete headers['content-length'];
  response.writeHead(reply.statusCode, headers);
  if (!fromFuture) return pipeline(reply, response);
  for await (const line of createInterface({ input: reply })) {
    response.write(`${line && JSON.stringify(JSON.parse(line, withMore))}\n`);
  }
  response.end();
}

function forward(incoming, response) {
  const failed = () => {
    const error = { code: 'guest_unreachable', message: 'The agent did not answer.', hint: '' };
    if (response.headersSent) response.destroy();
    else answer(response, 504, { error });
  };
  if (port === 0) return failed();
  const headers = { authorization: `Bearer ${token}` };
  for (const name of ['content-type', 'content-length']) {
    if (incoming.headers[name] !== undefined) headers[name] = incoming.headers[name];
  }
  const path = incoming.url.slice('/guest'.length);
  const call = request({ host: '127.0.0.1', port, method: incoming.method, path, headers }, (reply) => {
    passOn(reply, response).catch(failed);
  });
  call.on('error', failed);
  incoming.pipe(call);
}

const socket = join(folder, 'r.sock');
rmSync(socket, { force: true });
startAgent();
createServer((incoming, response) => {
  if (incoming.url.startsWith('/guest/')) forward(incoming, response);
  else if (incoming.url === '/status') answer(response, 200, status);
  // Nothing ever changes: the real one answers such a question after 20 s.
  else if (incoming.url.startsWith('/status?')) {
    if (incoming.url.endsWith('after=-1')) answer(response, 200, status);
    else setTimeout(() => answer(response, 200, status), 20_000).unref();
  } else answer(response, 404, { error: { code: 'not_found', message: 'not played', hint: '' } });
}).listen(socket, () => writeWhole('status.json', JSON.stringify(status)));
