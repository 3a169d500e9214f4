/**
 * dead-chunks.mjs FOLDER ENTRY: prints the scripts of a bundle that nothing can load: those whose names occur in no
 * script that is reached from ENTRY. A mention anywhere counts, so that an import made up of strings is seen, too.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const [folder, entry] = process.argv.slice(2);
const scripts = readdirSync(folder).filter((name) => name.endsWith('.js'));
if (!scripts.includes(entry)) throw new Error(`${folder} has no ${entry}.`);

const reached = new Set([entry]);
for (const name of reached) {
  const text = readFileSync(join(folder, name), 'latin1');
  for (const other of scripts) if (text.includes(other)) reached.add(other);
}
for (const name of scripts) if (!reached.has(name)) process.stdout.write(`${name}\n`);
