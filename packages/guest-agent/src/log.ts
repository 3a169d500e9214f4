/** One line a fact on standard error, which is the journal in a VM. Callers pass nothing secret. */
export type Log = (message: string, facts?: Record<string, string | number | boolean | null>) => void;

export const log: Log = (message, facts) => {
  process.stderr.write(`${facts === undefined ? message : `${message} ${JSON.stringify(facts)}`}\n`);
};
