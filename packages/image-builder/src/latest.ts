/** What npm's registry calls the latest version of the CLIs, and which Node it asks for. */
import { z } from 'zod';
import { npmEnvironment } from '@airlock/contract/environment';
import { AppError } from '@airlock/contract/errors';
import { run } from '@airlock/contract/process';
import { providers } from '@airlock/contract/provider/registry';
import { installedPackage, type Cli } from './cli.js';

export interface Latest {
  /** Of the package that people install. */
  version: string;
  /** `engines.node` of the package that an image has; null when it asks for none. */
  node: string | null;
  /** Null, or the package that an image has, when that is not published in this version. */
  missing: string | null;
}

/** Answers what `npm view … name version engines --json` prints for a package at a version. */
export type View = (spec: string) => Promise<string>;

const engines = z.looseObject({ node: z.string().optional() });
const Viewed = z.looseObject({ version: z.string().min(1), engines: engines.optional() });
const Absent = z.looseObject({ error: z.looseObject({ code: z.literal('E404') }) });

/** The latest of each provider's CLI, by the provider's id; null where the registry could not be asked. */
export async function findLatest(signal: AbortSignal): Promise<Record<string, Latest | null>> {
  const view = viewWith(signal);
  const found = Object.values(providers).map(async ({ id, image }): Promise<[string, Latest | null]> => [
    id,
    await latestOf(image, view).catch((error: unknown) => {
      if (error instanceof AppError || error instanceof z.ZodError || error instanceof SyntaxError) return null;
      throw error;
    }),
  ]);
  return Object.fromEntries(await Promise.all(found));
}

/** @throws what `view` throws, and ZodError or SyntaxError for an answer that npm does not give */
export async function latestOf(image: Pick<Cli, 'package' | 'native'>, view: View): Promise<Latest> {
  const newest = Viewed.parse(await view(`${image.package}@latest`).then(read));
  const name = installedPackage(image);
  if (name === image.package) return { version: newest.version, node: newest.engines?.node ?? null, missing: null };
  const program = await view(`${name}@${newest.version}`).then(read);
  if (program === null) return { version: newest.version, node: null, missing: name };
  return { version: newest.version, node: Viewed.parse(program).engines?.node ?? null, missing: null };
}

/** Null for what is not published; older versions of npm say nothing then. */
function read(text: string): unknown {
  const answer: unknown = text.trim() === '' ? null : JSON.parse(text);
  return Absent.safeParse(answer).success ? null : answer;
}

const viewWith =
  (signal: AbortSignal): View =>
  async (spec) => {
    // Three members, because npm prints the value of a single one that is there without its name.
    const args = ['view', spec, 'name', 'version', 'engines', '--json'];
    // An error is told in JSON, too.
    const options = { env: npmEnvironment(), cleanEnv: true, signal, timeoutMs: 120_000, okCodes: [0, 1] };
    return (await run('npm', args, options)).stdout;
  };
