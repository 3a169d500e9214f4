import { expect, it } from 'vitest';
import { description } from './description.js';
import { clisOf } from './cli.js';
import { exampleLock } from './fixtures/clis.js';
import { readKernelConfig } from './kernel-config.js';
import { makeSbom, parseDebs, parseNpmPackages } from './sbom.js';

const clis = clisOf(exampleLock);
const cli = clis.find(({ id }) => id === 'codex')!;
const input = {
  name: 'airlock-image-0123',
  epoch: description.epoch,
  suite: 'trixie',
  debs: parseDebs(
    'bash\t5.2-1+b1\tamd64\tbash\t5.2-1\nlibssl3t64\t3.5\tamd64\topenssl\t3.5\nweird\t1:2\tall\tweird\t1:2\n',
    'bash\tGPL-3+\nbash\tGFDL-NIV-1.3\nweird\tExpat\nweird\tMIT\n',
  ),
  npm: parseNpmPackages(
    JSON.stringify([
      { path: `node_modules/${cli.package}`, name: cli.package, version: cli.version, license: 'Apache-2.0' },
      { path: `node_modules/${cli.package}/node_modules/x`, name: 'x', version: '1.0.0', license: 'SEE LICENSE IN x' },
    ]),
  ),
  clis,
};
const found = (): Record<string, Record<string, unknown>> => {
  const { packages } = JSON.parse(makeSbom(input)) as { packages: (Record<string, unknown> & { SPDXID: string })[] };
  return Object.fromEntries(packages.map((entry) => [entry.SPDXID, entry]));
};

it('names every package with version, address and licence', () => {
  expect(found()['SPDXRef-deb-bash-amd64']).toMatchObject({
    versionInfo: '5.2-1+b1',
    licenseDeclared: 'GPL-3.0-or-later AND LicenseRef-GFDL-NIV-1.3',
    externalRefs: [{ referenceLocator: 'pkg:deb/debian/bash@5.2-1%2Bb1?arch=amd64&distro=trixie' }],
  });
  expect(found()['SPDXRef-deb-weird-all']).toMatchObject({ licenseDeclared: 'MIT', versionInfo: '1:2' });
});

it('claims no licence that nobody has written down in a form to be read', () => {
  expect(found()['SPDXRef-deb-libssl3t64-amd64']).toMatchObject({ licenseDeclared: 'NOASSERTION' });
  expect(found()['SPDXRef-npm-node-modules--openai-codex-node-modules-x']).toMatchObject({
    licenseDeclared: 'NOASSERTION',
    licenseComments: 'package.json says: SEE LICENSE IN x',
  });
});

it('carries the checksum of each CLI', () => {
  expect(found()['SPDXRef-npm-node-modules--openai-codex']).toMatchObject({
    licenseDeclared: 'Apache-2.0',
    externalRefs: [{ referenceLocator: `pkg:npm/%40openai/codex@${cli.version}` }],
    checksums: [{ algorithm: 'SHA512', checksumValue: Buffer.from(cli.integrity.slice(7), 'base64').toString('hex') }],
  });
});

it('names a CLI whose program alone is installed as people know it, and as it is installed', () => {
  const claude = clis.find(({ id }) => id === 'claude_code')!;
  const native = claude.native!.package;
  const npm = [{ path: `node_modules/${claude.package}`, name: native, version: claude.version, license: null }];
  const { packages } = JSON.parse(makeSbom({ ...input, debs: [], npm })) as { packages: Record<string, unknown>[] };
  const locator = (name: string): object => ({ referenceLocator: `pkg:npm/%40anthropic-ai/${name}@${claude.version}` });
  expect(packages).toMatchObject([
    {
      SPDXID: 'SPDXRef-npm-node-modules--anthropic-ai-claude-code',
      name: '@anthropic-ai/claude-code',
      versionInfo: claude.version,
      checksums: [{ algorithm: 'SHA512' }],
      comment: expect.stringContaining(native) as string,
      externalRefs: [locator('claude-code'), locator('claude-code-linux-x64')],
    },
  ]);
});

it('is a document of SPDX 2.3 in which every reference has a target', () => {
  const text = makeSbom(input);
  const document = JSON.parse(text) as {
    packages: { SPDXID: string; licenseDeclared: string }[];
    relationships: { relatedSpdxElement: string }[];
    hasExtractedLicensingInfos: { licenseId: string }[];
  };
  expect(document).toMatchObject({
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    creationInfo: { created: '2026-01-01T00:00:00Z' },
  });
  const ids = document.packages.map((entry) => entry.SPDXID);
  expect(new Set(ids).size).toBe(ids.length);
  expect(document.relationships.map((relation) => relation.relatedSpdxElement)).toEqual(ids);
  expect(document.hasExtractedLicensingInfos.map((info) => info.licenseId)).toEqual(['LicenseRef-GFDL-NIV-1.3']);
  expect(makeSbom(input)).toBe(text);
});

it('reads the kernel’s configuration', () => {
  const config = 'CONFIG_VIRTIO_MMIO=m\nCONFIG_EXT4_FS=y\n# CONFIG_PVH is not set\nCONFIG_OTHER=y\n';
  expect(readKernelConfig(config)).toMatchObject({
    CONFIG_VIRTIO_MMIO: 'm',
    CONFIG_EXT4_FS: 'y',
    CONFIG_PVH: 'n',
    CONFIG_ACPI: 'n',
  });
  expect(readKernelConfig(config)).not.toHaveProperty('CONFIG_OTHER');
});
