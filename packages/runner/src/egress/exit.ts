/** The address at which a way comes out, by a server that answers whoever asks with it. */
import { once } from 'node:events';
import { request, type IncomingMessage, type RequestOptions } from 'node:http';
import { z } from 'zod';
import { AppError } from '@airlock/contract/errors';
import type { TrialResult } from '@airlock/contract/network-trial';
import { authorityOf, hostAndPort } from './target.js';
import { shakeHands, type Authorities } from './trial-tls.js';
import { egressFailed, openTarget } from './tunnel.js';
import { patience, upstreamAccess, upstreamAuthFailed } from './upstream.js';
import type { Way } from './way.js';

const Address = z.union([z.ipv4(), z.ipv6()]);
const Answer = z.union([Address, z.object({ ip: Address }).transform(({ ip }) => ip)]);
/** Bytes of an answer. */
const largest = 4096;

/** @throws AppError egress_failed, upstream_unreachable, upstream_auth_failed; TlsTrouble; the signal's reason */
export async function askExit(way: Way, url: URL, authorities: Authorities, signal: AbortSignal): Promise<TrialResult> {
  const how = url.protocol === 'https:' ? await overTls(way, url, authorities, signal) : plainly(way, url);
  const asked = request({ ...how, signal });
  try {
    asked.end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    if (answer.statusCode === 407 && way.upstreamUrl !== null) throw upstreamAuthFailed(way.upstreamUrl);
    return await addressIn(answer);
  } catch (error) {
    throw error instanceof AppError ? error : egressFailed(hostAndPort(way.target), error);
  } finally {
    asked.destroy();
  }
}

const pathOf = ({ pathname, search }: URL): string => `${pathname}${search}`;

async function overTls(way: Way, url: URL, authorities: Authorities, signal: AbortSignal): Promise<RequestOptions> {
  const { socket } = await shakeHands(await openTarget(way, signal), way.target.host, authorities, signal);
  return { createConnection: () => socket, path: pathOf(url), headers: { host: url.host } };
}

/** As the gateway passes plain requests on: an upstream is sent the whole URL, because few tunnel to port 80. */
function plainly({ upstreamUrl, target, lookup }: Way, url: URL): RequestOptions {
  const host = ['host', authorityOf(target)];
  if (upstreamUrl === null)
    return { ...target, ...(lookup && { lookup }), ...patience, agent: false, path: pathOf(url), headers: host };
  const upstream = upstreamAccess(upstreamUrl);
  const path = `http://${authorityOf(target)}${pathOf(url)}`;
  return {
    host: upstream.host,
    port: upstream.port,
    ...patience,
    agent: false,
    path,
    headers: [...host, ...upstream.headers],
  };
}

async function addressIn(answer: IncomingMessage): Promise<TrialResult> {
  const no = (found: string): TrialResult => ({ result: 'no_address', found, todo: 'Correct AIRLOCK_EXIT_URL.' });
  if (answer.statusCode !== 200) return no(`AIRLOCK_EXIT_URL answers ${answer.statusCode}`);
  let text = '';
  for await (const chunk of answer.setEncoding('latin1')) {
    text += String(chunk);
    if (text.length > largest) return no(`AIRLOCK_EXIT_URL answers more than ${largest} bytes`);
  }
  const { data } = Answer.safeParse(jsonOr(text.trim()));
  return data === undefined
    ? no('AIRLOCK_EXIT_URL answers neither an IP address nor JSON with one as its member ip')
    : { result: 'ok', found: data, todo: '' };
}

function jsonOr(text: string): unknown {
  try {
    return text.startsWith('{') ? (JSON.parse(text) as unknown) : text;
  } catch {
    return text;
  }
}
