/**
 * How often somebody may call. A request with a secret counts for the user whose it may be, before anything is looked up; of the
 * others only those count that brought a wrong secret, for their address. So nobody behind an address is kept out by another one there.
 */
import { BlockList, isIP } from 'node:net';
import { normalizeIP } from '@fastify/rate-limit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '@airlock/contract/errors';
import { createTally } from '../lib/quota.js';
import type { Server } from './deps.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The user whose secret came with the request, if it is good: nobody has looked yet. */
    claimed: string | null;
  }
}

const timeWindow = 60_000;
/** Requests of a user in a minute. */
const maxOfUser = 600;
/** Requests of a user at a time, event streams among them; viewers are counted apart. */
const maxUnderWay = 100;
/** Wrong secrets from one address in a minute; wrong login tokens are people's own. */
const maxWrong = { unauthenticated: 200, ticket_invalid: 200, login_token_invalid: 20 } as const;

export interface Limits {
  /** Counts a request of `request.claimed`. @throws AppError rate_limited, quota_exceeded */
  count(request: FastifyRequest, reply: FastifyReply): Promise<void>;
  /** What a request that failed is answered: `error`, or, after too many wrong secrets from its address, `rate_limited`. */
  failed(error: AppError, request: FastifyRequest, reply: FastifyReply): Promise<AppError>;
}

/** Needs @fastify/rate-limit, which forgets whom it has not seen for longest: what it remembers is bounded. */
export function createLimits(server: Server): Limits {
  const keyGenerator = addressOf;
  const ofUser = server.createRateLimit({
    max: maxOfUser,
    timeWindow,
    keyGenerator: (request) => request.claimed ?? addressOf(request),
  });
  const wrong = {
    unauthenticated: server.createRateLimit({ max: maxWrong.unauthenticated, timeWindow, keyGenerator }),
    ticket_invalid: server.createRateLimit({ max: maxWrong.ticket_invalid, timeWindow, keyGenerator }),
    login_token_invalid: server.createRateLimit({ max: maxWrong.login_token_invalid, timeWindow, keyGenerator }),
  };
  const underWay = createTally({ name: 'requests', limit: maxUnderWay, what: 'requests under way' });
  return {
    async count(request, reply) {
      if (request.claimed !== null && !request.ws) {
        server.sockets.whenOver(request.raw, reply.raw, underWay.take(request.claimed));
      }
      const used = await ofUser(request);
      if (used.isAllowed || !used.isExceeded) return;
      void reply.header('retry-after', used.ttlInSeconds);
      throw tooMany(`More than ${maxOfUser} requests came in a minute.`, used.ttlInSeconds);
    },
    async failed(error, request, reply) {
      const { code } = error;
      const isWrong = code === 'login_token_invalid' || code === 'ticket_invalid' || code === 'unauthenticated';
      // Without a secret nothing was tried.
      if (!isWrong || (code === 'unauthenticated' && request.via === null)) return error;
      const used = await wrong[code](request);
      if (used.isAllowed || !used.isExceeded) return error;
      void reply.header('retry-after', used.ttlInSeconds);
      return tooMany(
        `More than ${maxWrong[code]} wrong secrets came from this address in a minute.`,
        used.ttlInSeconds,
      );
    },
  };
}

export const tooMany = (what: string, seconds: number): AppError =>
  new AppError('rate_limited', what, { hint: `Try again in ${seconds} s.` });

/** Of whoever called: what a trusted proxy says, if that is an address. Of IPv6 the network, since a caller has all of it. */
export function addressOf({ ip, socket }: FastifyRequest): string {
  return normalizeIP(isIP(ip) === 0 ? (socket.remoteAddress ?? '') : ip);
}

/** For Fastify: whose X-Forwarded-For is believed. `networks`: addresses, or networks such as 10.0.0.0/8. */
export function trustOf(networks: readonly string[]): false | ((address: string) => boolean) {
  if (networks.length === 0) return false;
  const trusted = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    const family = familyOf(address);
    if (bits === undefined) trusted.addAddress(address, family);
    else trusted.addSubnet(address, Number(bits), family);
  }
  return (address) => isIP(address) !== 0 && trusted.check(address, familyOf(address));
}

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 6 ? 'ipv6' : 'ipv4');
