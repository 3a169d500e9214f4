/**
 * A table has one owner: it is declared in that noun's table.ts, and nobody else writes SQL with its name. Imports of a table.ts
 * are the import rules' matter (.dependency-cruiser.cjs); here are the names in SQL that is text.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const controller = 'packages/controller/src';

/** Production files below `folder`, by their path in it. */
function sourcesOf(folder) {
  return readdirSync(`${root}${folder}`, { recursive: true })
    .filter((path) => path.endsWith('.ts') && !/\.test\.ts$|(^|\/)(fixtures|testing)[/.-]/.test(path))
    .map((path) => ({ path, text: readFileSync(`${root}${folder}/${path}`, 'utf8') }));
}

const nounOf = (path) => path.split('/')[0];

/** The owner of each table, by what `airlock.table('name'` says in which folder. */
function ownersIn(sources) {
  const declared = sources.flatMap(({ path, text }) =>
    [...text.matchAll(/\bairlock\.table\(\s*'(\w+)'/g)].map(([, table]) => ({ table, path })),
  );
  return { owners: new Map(declared.map(({ table, path }) => [table, nounOf(path)])), declared };
}

/** Every piece of text in `text` that is SQL: what follows the tag sql, and what sql.raw, execute and query are given. */
function sqlIn(text) {
  const pieces = [];
  const isText = (node) => ts.isStringLiteralLike(node) || ts.isTemplateExpression(node);
  const visit = (node) => {
    if (ts.isTaggedTemplateExpression(node) && node.tag.getText() === 'sql') pieces.push(node.template.getText());
    if (ts.isCallExpression(node) && /\b(raw|execute|query)$/.test(node.expression.getText()))
      pieces.push(...node.arguments.filter(isText).map((argument) => argument.getText()));
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('source.ts', text, ts.ScriptTarget.Latest, true));
  // What stands in ${…} is TypeScript: a table object comes in by an import.
  return pieces.map((piece) => piece.replace(/\$\{[^}]*\}/g, '?'));
}

/** `<path>: <table>` for each table named in SQL outside of its owner. The store makes and moves tables of all. */
function foreignSql(sources, owners) {
  return sources
    .filter(({ path }) => nounOf(path) !== 'store')
    .flatMap(({ path, text }) => {
      const found = sqlIn(text).join('\n');
      const foreign = [...owners].filter(([, owner]) => owner !== nounOf(path)).map(([table]) => table);
      return foreign.filter((table) => new RegExp(`\\b${table}\\b`).test(found)).map((table) => `${path}: ${table}`);
    });
}

const sources = sourcesOf(controller);
const { owners, declared } = ownersIn(sources);

test('every table is declared once, in the table.ts of its noun', () => {
  expect(Object.fromEntries(owners)).toEqual({
    audit: 'audit',
    auth_sessions: 'session',
    credentials: 'vault',
    custody: 'vault',
    home_keys: 'vault',
    tokens: 'user',
    users: 'user',
    vms: 'vm',
  });
  expect(declared.filter(({ path }) => !path.endsWith('/table.ts'))).toEqual([]);
  expect(declared).toHaveLength(owners.size);
});

test('no SQL names a table of another noun', () => {
  expect(foreignSql(sources, owners)).toEqual([]);
});

test.each([
  ['a tagged template', 'db.execute(sql`select id from users where role = ${role}`)', ['vm/planted.ts: users']],
  ['a template with a schema', 'sql`update ${airlock}.auth_sessions set status = 1`', ['vm/planted.ts: auth_sessions']],
  ['plain text', "pool.query('delete from home_keys')", ['vm/planted.ts: home_keys']],
  ['raw SQL', 'sql.raw(`truncate ${schema}.tokens`)', ['vm/planted.ts: tokens']],
  ['its own table', 'sql`select 1 from vms`', []],
  ['a table that is handed in', 'sql`select 1 from ${users}`', []],
  ['words that are no SQL', "throw new Error('no users have credentials')", []],
])('%s is judged rightly', (_what, text, expected) => {
  expect(foreignSql([{ path: 'vm/planted.ts', text }], owners)).toEqual(expected);
});
