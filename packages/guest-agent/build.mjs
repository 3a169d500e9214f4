/**
 * Bundles the agent into one file, dist/agent.cjs, that needs nothing but Node: the PTY addon is inside as base64 and is
 * loaded from a temporary file the first time a login starts.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const { version } = JSON.parse(await readFile(here('package.json'), 'utf8'));

/** Replaces the module that looks for the addon in node_modules. */
const embedAddon = {
  name: 'embed-addon',
  setup(builder) {
    builder.onLoad({ filter: /@lydell\/node-pty\/requireBinary\.js$/ }, async ({ path }) => {
      // The guest is always linux-x64, whatever machine builds the image.
      const file = createRequire(path).resolve('@lydell/node-pty-linux-x64/pty.node');
      const base64 = (await readFile(file)).toString('base64');
      return {
        contents: `
          const { mkdtempSync, rmSync, writeFileSync } = require('node:fs');
          exports.requireBinary = () => {
            const folder = mkdtempSync(require('node:os').tmpdir() + '/airlock-pty-');
            try {
              writeFileSync(folder + '/pty.node', Buffer.from('${base64}', 'base64'), { mode: 0o700 });
              const loaded = { exports: {} };
              process.dlopen(loaded, folder + '/pty.node');
              return loaded.exports;
            } finally {
              rmSync(folder, { recursive: true });
            }
          };`,
      };
    });
  },
};

/** zod carries its messages in 50 languages; parsing them costs a tenth of the start-up time. */
const englishOnly = {
  name: 'english-only',
  setup(builder) {
    builder.onLoad({ filter: /zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: `export { default as en } from './en.js';`,
    }));
  },
};

await build({
  entryPoints: [here('src/main.ts')],
  outfile: here('dist/agent.cjs'),
  bundle: true,
  minify: true,
  platform: 'node',
  target: 'node20.19',
  format: 'cjs',
  define: { AIRLOCK_AGENT_VERSION: JSON.stringify(version) },
  plugins: [embedAddon, englishOnly],
  logLevel: 'warning',
});
