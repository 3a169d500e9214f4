// Runs inside the new root: reads paths of package.json files, prints a JSON array of {path, name, version, license}.
const { readFileSync } = require('node:fs');

const licenceOf = ({ license }) => (typeof license === 'string' ? license : (license?.type ?? null));

const found = readFileSync(0, 'utf8')
  .split('\n')
  // The folder of a package is named after it; deeper files of the same name are not packages.
  .filter((path) => /\/node_modules\/(?:@[^/]+\/)?[^/]+\/package\.json$/.test(path))
  .map((path) => ({ path, ...JSON.parse(readFileSync(path, 'utf8')) }))
  .filter(({ name, version }) => typeof name === 'string' && typeof version === 'string')
  .map((manifest) => ({
    path: manifest.path.replace(/^\/usr\/local\/lib\//, '').replace(/\/package\.json$/, ''),
    name: manifest.name,
    version: manifest.version,
    license: licenceOf(manifest),
  }))
  .sort((a, b) => (a.path < b.path ? -1 : 1));
process.stdout.write(`${JSON.stringify(found, null, 1)}\n`);
