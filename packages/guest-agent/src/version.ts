/** The version of this agent; written into the bundle by build.mjs. */
declare const AIRLOCK_AGENT_VERSION: string | undefined;

export const agentVersion = typeof AIRLOCK_AGENT_VERSION === 'string' ? AIRLOCK_AGENT_VERSION : '0.0.0-source';
