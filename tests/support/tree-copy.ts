/** A copy of this tree's sources, in which a test may add what it wants: what is installed here is linked, packages are the copy's. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

export interface TreeCopy {
  readonly path: string;
  /** Runs a program of node_modules in the copy. */
  node(program: string, ...args: string[]): Promise<{ stdout: string; stderr: string }>;
  /** Names of files that are not as they were copied, or were not copied, among those copied and `more`. */
  changed(more: readonly string[]): Promise<string[]>;
  remove(): Promise<void>;
}

/** Copies what git sees, also where it is not committed. `built`: packages whose compiled files are copied too, to save time. */
export async function copyTree(prefix: string, built: readonly string[] = []): Promise<TreeCopy> {
  const path = await mkdtemp(join(tmpdir(), prefix));
  const { stdout } = await run('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: root });
  const before = await hashes(root, stdout.split('\n').filter(Boolean));
  for (const name of before.keys()) {
    await mkdir(dirname(join(path, name)), { recursive: true });
    await cp(join(root, name), join(path, name), { preserveTimestamps: true });
  }
  for (const name of built) {
    const compiled = join('packages', name, 'dist');
    await cp(join(root, compiled), join(path, compiled), { recursive: true, preserveTimestamps: true });
  }
  await linkModules(path);
  return {
    path,
    node: (program, ...args) =>
      run(process.execPath, [join(path, 'node_modules', program), ...args], { cwd: path, maxBuffer: 2 ** 26 }),
    async changed(more) {
      const after = await hashes(path, [...before.keys(), ...more]);
      return [...after].filter(([name, hash]) => before.get(name) !== hash).map(([name]) => name);
    },
    remove: () => rm(path, { recursive: true, force: true }),
  };
}

/** SHA-256 by name, of those that are there. */
async function hashes(folder: string, names: Iterable<string>): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const name of names) {
    const content = await readFile(join(folder, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    });
    if (content) found.set(name, createHash('sha256').update(content).digest('hex'));
  }
  return found;
}

async function linkModules(tree: string): Promise<void> {
  const modules = join(tree, 'node_modules');
  await mkdir(join(modules, '@airlock'), { recursive: true });
  for (const name of await readdir(join(root, 'node_modules'))) {
    if (name !== '@airlock' && (name === '.bin' || !name.startsWith('.'))) {
      await symlink(join(root, 'node_modules', name), join(modules, name));
    }
  }
  for (const name of await readdir(join(tree, 'packages'))) {
    await symlink(join(tree, 'packages', name), join(modules, '@airlock', name));
    await symlink(join(root, 'packages', name, 'node_modules'), join(tree, 'packages', name, 'node_modules'));
  }
}
