/**
 * Imports go strictly downward, never sideways (docs/architecture.md):
 *   controller  main → http → revocation → session, prompt → credential → pool, desktop, vault → vm → audit → engine, image, provider, store → lib
 *   runner      main → run → vmm, network, egress, guest → lib
 * Packages meet only in `contract`. A planted violation of each kind is in scripts/fixtures/imports.
 */

/**
 * Layers from the top; nouns of one layer do not see each other. A noun is a folder or a file; `a|b` are files that together
 * are one noun.
 */
const layers = {
  controller: [
    ['main'],
    ['http'],
    ['revocation'],
    ['session', 'prompt'],
    ['credential'],
    ['pool', 'desktop', 'vault', 'user'],
    ['vm'],
    ['audit'],
    ['engine', 'image', 'provider', 'store'],
    ['lib'],
  ],
  runner: [['main'], ['run|life|boot|handlers|assignment|socket'], ['vmm', 'network', 'egress', 'guest'], ['lib']],
};

const noun = (pack, names) => `(^|/)packages/${pack}/src/(${names.join('|')})(/|\\.tsx?$|-[^/]*\\.tsx?$)`;

/** What only tests import; `no-test-in-production` keeps it there. */
const testOnly = '/src/(fixtures|[^/]+/testing)[/.]';

/** One rule a noun: it may import from itself and from any lower layer, and from nothing else of its package. */
function layerRules(pack) {
  const all = layers[pack];
  return all.flatMap((layer, depth) =>
    layer.map((name) => ({
      name: `${pack}-${name.split('|')[0]}-imports-downward`,
      comment: `${pack}/${name} may import only what is below it.`,
      severity: 'error',
      from: { path: noun(pack, [name]) },
      to: {
        path: `(^|/)packages/${pack}/src/`,
        pathNot: [noun(pack, [name, ...all.slice(depth + 1).flat()]), testOnly],
      },
    })),
  );
}

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycle',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'packages-meet-in-contract',
      comment: 'A package may import itself and packages/contract; others are reached as processes.',
      severity: 'error',
      from: { path: '(^|/)packages/([^/]+)/' },
      to: { path: '(^|/)packages/([^/]+)/', pathNot: '(^|/)packages/($2|contract)/' },
    },
    {
      name: 'contract-stands-alone',
      severity: 'error',
      from: { path: '(^|/)packages/contract/' },
      to: { path: '(^|/)packages/(?!contract/)' },
    },
    {
      name: 'known-nouns-only',
      comment: 'A folder that no layer names would escape the rules: add it to .dependency-cruiser.cjs.',
      severity: 'error',
      from: { path: '(^|/)packages/(controller|runner)/src/' },
      to: {
        path: '(^|/)packages/(controller|runner)/src/',
        pathNot: [...Object.keys(layers).map((pack) => noun(pack, layers[pack].flat())), testOnly],
      },
    },
    {
      name: 'no-test-in-production',
      severity: 'error',
      from: { path: '(^|/)packages/[^/]+/src/', pathNot: ['\\.test\\.tsx?$', testOnly] },
      to: { path: ['\\.test\\.tsx?$', '(^|/)tests/', testOnly] },
    },
    {
      name: 'vm-knows-no-path',
      comment: 'Where things of a VM lie is its engine’s alone, so that another engine can be elsewhere.',
      severity: 'error',
      from: { path: '(^|/)packages/controller/src/vm/', pathNot: ['\\.test\\.tsx?$', testOnly] },
      to: { path: ['^(node:)?path$', '(^|/)packages/contract/(src|dist)/home\\.'] },
    },
    {
      name: 'only-the-registry-sees-a-driver',
      comment: 'A VMM driver is a folder below vmm: vmm/registered lists them, everything else asks vmm/registry.',
      severity: 'error',
      from: { path: '(^|/)packages/runner/src/', pathNot: '/src/vmm/(registered\\.ts$|[^/]+/)' },
      to: { path: '(^|/)packages/runner/src/vmm/[^/]+/' },
    },
    {
      name: 'drivers-do-not-see-each-other',
      severity: 'error',
      from: { path: '(^|/)packages/runner/src/vmm/([^/]+)/' },
      to: { path: '(^|/)packages/runner/src/vmm/([^/]+)/', pathNot: '/src/vmm/$2/' },
    },
    {
      name: 'a-table-has-one-owner',
      comment:
        'Only its own noun reads and writes a table; others ask that noun. SQL as text: scripts/tables.test.mjs.',
      severity: 'error',
      from: { path: '(^|/)packages/controller/src/([^/]+)/', pathNot: ['\\.test\\.ts$', testOnly] },
      to: { path: '(^|/)packages/controller/src/[^/]+/table\\.ts$', pathNot: '(^|/)packages/controller/src/$2/' },
    },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    ...Object.keys(layers).flatMap(layerRules),
  ],
  options: {
    doNotFollow: { path: ['node_modules', '/dist/'] },
    exclude: { path: ['\\.css$', '\\.svg$'] },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['types', 'import', 'node', 'default'],
    },
  },
};
