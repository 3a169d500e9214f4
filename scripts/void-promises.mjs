/**
 * Part of `npm run lint`: nothing hides a promise behind `void`. What oxlint's no-floating-promises finds are statements, and in
 * `() => void promise` there is none. Prints file, line and code of each.
 */
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { root } from './checkout.mjs';
import { Stop } from './run.mjs';

/** What runs for long. An unhandled rejection fails a test by itself, and ends nothing in a browser. */
const packages = ['contract', 'controller', 'runner', 'guest-agent', 'image-builder', 'cli'];
const isCode = (path) => !/\.test\.ts$|\/fixtures\/|\/testing[./]/.test(path);

/** @returns {string[]} one line for each `void` before a promise */
export function voidPromises(files) {
  const config = ts.readConfigFile(join(root, 'tsconfig.base.json'), ts.sys.readFile).config;
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const program = ts.createProgram(files, { ...options, composite: false, noEmit: true });
  const checker = program.getTypeChecker();
  return files.flatMap((name) => {
    const file = program.getSourceFile(name);
    return voidsIn(file)
      .filter(({ expression }) => isPromise(checker, expression))
      .map((node) => {
        const { line } = file.getLineAndCharacterOfPosition(node.getStart());
        return `${relative(root, name)}:${line + 1}: ${node.getText().split('\n')[0]}`;
      });
  });
}

function voidsIn(node) {
  const found = ts.isVoidExpression(node) ? [node] : [];
  ts.forEachChild(node, (child) => void found.push(...voidsIn(child)));
  return found;
}

/** Of a union: one of its types. What can be awaited but not caught, such as a reply of fastify, fails elsewhere. */
function isPromise(checker, node) {
  const type = checker.getTypeAtLocation(node);
  return (type.isUnion() ? type.types : [type]).some((part) =>
    ['then', 'catch'].every((name) => checker.getPropertyOfType(part, name) !== undefined),
  );
}

const all = () =>
  packages
    .flatMap((name) => ts.sys.readDirectory(join(root, 'packages', name, 'src'), ['.ts']))
    .filter((path) => isCode(path) && /\bvoid [^;|)]/.test(ts.sys.readFile(path)));

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await Stop.guard(() => {
    const found = voidPromises(all());
    if (found.length === 0) return;
    throw new Stop(`Promises that nobody owns:\n${found.join('\n')}`, 'Await them, or let a Background own them.', 1);
  });
}
