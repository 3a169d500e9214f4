/** What documents and scripts name is there: files and folders of the project, settings, and the tests that docs/security.md calls upon. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { settingDefinitions } from '@airlock/contract/settings';

const root = new URL('../', import.meta.url);
const read = (path) => readFileSync(new URL(path, root), 'utf8');
const documents = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.md'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((path) => path !== '' && existsSync(new URL(path, root)));
const scripts = readdirSync(new URL('scripts/', root))
  .filter((name) => /^[a-z-]+\.mjs$/.test(name))
  .map((name) => `scripts/${name}`);

/** Paths in a text, but for those with a placeholder, such as `<name>` or `*`. */
function pathsIn(text) {
  const found = text.matchAll(/(?<![\w/.-])(?:packages|tests|scripts|deploy)\/[\w./-]*[\w/](?![\w<*])/g);
  return [...new Set([...found].map(([path]) => path))];
}

test.each(documents)('%s names files that exist', (document) => {
  expect(pathsIn(read(document)).filter((path) => !existsSync(new URL(path, root)))).toEqual([]);
});

test.each([...documents, ...scripts])('%s names settings that exist: any other AIRLOCK_ name is refused', (file) => {
  const names = read(file).match(/\bAIRLOCK_[A-Z][A-Z_]*/g) ?? [];
  expect(names.filter((name) => !(name in settingDefinitions))).toEqual([]);
});

test('each promise of docs/security.md has a test with this title', () => {
  const section = read('docs/security.md').split('## What shows it')[1]?.split('\n## ')[0] ?? '';
  const rows = [...section.matchAll(/^\| .+? \| `(\S+?)`: (.+?) +\|$/gm)].map(([, file, title]) => ({ file, title }));
  expect(rows.length).toBeGreaterThan(30);
  expect(rows.filter(({ file, title }) => !read(file).includes(title))).toEqual([]);
});

/** Places that a document's links lead to, relative to it; without those on the web and those inside the page. */
function linksIn(document) {
  const targets = [...read(document).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, target]) => target);
  return targets.map((target) => [target, new URL(target, new URL(document, root))]);
}

test.each(documents)('the links of %s lead to files', (document) => {
  expect(
    linksIn(document)
      .filter(([, url]) => !existsSync(url))
      .map(([target]) => target),
  ).toEqual([]);
});
