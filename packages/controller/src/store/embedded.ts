/**
 * The embedded database: PGlite (PostgreSQL compiled to WebAssembly) in a process of its own, so that a long statement never
 * blocks the controller's tunnels. Runs as `embedded.js <data folder> <socket> <lock file>`, forked by embedded-process.ts;
 * tells its parent `{ready}` or `{failed}`, and closes the database when the parent disconnects or dies.
 */
import { rm } from 'node:fs/promises';
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import { takeLock } from '../lib/lock.js';

export type EmbeddedMessage = { ready: true } | { failed: string };

/** Seconds that the process of a killed controller has to let go of the data. */
const lockWaitS = 15;

async function serve(dataFolder: string, socketPath: string, lockPath: string): Promise<() => Promise<void>> {
  // PGlite does not lock its folder, and two processes in it lose rows without any error.
  const lock = await takeLock(lockPath, lockWaitS);
  if (!lock) throw new Error(`${dataFolder} is still in use by another process after ${lockWaitS} seconds`);
  await rm(socketPath, { force: true });
  const db = await PGlite.create({ dataDir: dataFolder });
  const server = new PGLiteSocketServer({ db, path: socketPath, maxConnections: 4 });
  await server.start();
  return async () => {
    await server.stop();
    await db.close();
    await lock.release();
  };
}

function tell(message: EmbeddedMessage): void {
  if (process.connected) process.send?.(message);
}

// Ctrl-C reaches the whole process group; the parent decides when the database ends.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);

const disconnected = new Promise<void>((resolve) => process.once('disconnect', resolve));
const [dataFolder = '', socketPath = '', lockPath = ''] = process.argv.slice(2);
try {
  const close = await serve(dataFolder, socketPath, lockPath);
  tell({ ready: true });
  if (process.connected) await disconnected;
  await close();
  process.exit(0);
} catch (error) {
  tell({ failed: error instanceof Error ? error.message : String(error) });
  console.error(error);
  process.exitCode = 1;
  if (process.connected) process.disconnect();
}
