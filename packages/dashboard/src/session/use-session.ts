/** One session as the server sees it, followed live; polled while the event stream is down. */
import { isFinal, Session } from '@airlock/contract/session';
import { queryOptions, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import type { Api } from '../api/api.js';
import { useApi } from '../api/api-context.js';
import { followSession } from './follow-session.js';

/** While the stream is down, and after the end while the desktop can still be looked at. Milliseconds. */
const pollMs = { streamDown: 3000, ended: 10_000 };

const sessionQuery = (api: Api, sessionId: string) =>
  queryOptions({
    queryKey: ['session', sessionId],
    queryFn: ({ signal }) => api.session(sessionId, signal),
    structuralSharing: keepNewest,
    refetchOnWindowFocus: 'always',
  });

/** A slow answer must not take the page back behind an event that overtook it. */
function keepNewest(known: unknown, received: unknown): unknown {
  const before = Session.safeParse(known);
  const after = Session.safeParse(received);
  return before.success && after.success && before.data.revision > after.data.revision ? known : received;
}

/** `stale` is true while the connection to the server is lost; `session` then shows what was known last. */
export function useSession(sessionId: string) {
  const api = useApi();
  const queryClient = useQueryClient();
  const [streaming, setStreaming] = useState(false);
  const {
    data: session,
    error,
    failureReason,
  } = useQuery({
    ...sessionQuery(api, sessionId),
    refetchInterval: ({ state }) => {
      if (state.data === undefined) return false;
      if (isFinal(state.data.status)) return state.data.desktopReady && pollMs.ended;
      return !streaming && pollMs.streamDown;
    },
  });

  const follow = session !== undefined && !isFinal(session.status);
  useEffect(() => {
    if (!follow) return;
    let broken = false;
    return followSession({
      open: (signal) => api.sessionEvents(sessionId, signal),
      onSession: (next) => queryClient.setQueryData(sessionQuery(api, sessionId).queryKey, next),
      onConnection: (open) => {
        setStreaming(open);
        // Ask whether the server itself is there: at once when the stream breaks, and when it is back.
        if (!open || broken) void queryClient.invalidateQueries({ queryKey: ['session', sessionId] });
        broken = !open;
      },
    });
  }, [api, queryClient, sessionId, follow]);

  return { session, error, stale: session !== undefined && (error ?? failureReason) !== null };
}
