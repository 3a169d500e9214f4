/** The bill of materials of an image, in SPDX 2.3 JSON: every Debian package and every npm package, with its licence. Pure. */
import { z } from 'zod';
import { installedPackage, type Cli } from './cli.js';

export interface DebPackage {
  name: string;
  version: string;
  architecture: string;
  source: string;
  sourceVersion: string;
  /** As written in the package's copyright file; empty when that is not machine-readable. */
  licences: string[];
}

const NpmPackages = z.array(
  z.object({ path: z.string(), name: z.string(), version: z.string(), license: z.string().nullable() }),
);
export type NpmPackage = z.infer<typeof NpmPackages>[number];

/** What normalise.sh (`packages`) and collect.sh (`licences`) left. */
export function parseDebs(packages: string, licences: string): DebPackage[] {
  const byPackage = new Map<string, string[]>();
  for (const line of rows(licences)) {
    const [name = '', licence = ''] = line.split('\t');
    byPackage.set(name, [...(byPackage.get(name) ?? []), licence]);
  }
  return rows(packages).map((line) => {
    const [name = '', version = '', architecture = '', source = '', sourceVersion = ''] = line.split('\t');
    return { name, version, architecture, source, sourceVersion, licences: byPackage.get(name) ?? [] };
  });
}

const rows = (text: string): string[] => text.split('\n').filter(Boolean);

export const parseNpmPackages = (json: string): NpmPackage[] => NpmPackages.parse(JSON.parse(json));

export interface SbomInput {
  /** Names the document; the same for the same image. */
  name: string;
  /** Seconds since 1970. */
  epoch: number;
  suite: string;
  debs: readonly DebPackage[];
  npm: readonly NpmPackage[];
  clis: readonly Cli[];
}

/** The part of an SPDX package that is read again here. */
export const Sbom = z.looseObject({
  packages: z.array(z.looseObject({ name: z.string(), versionInfo: z.string(), SPDXID: z.string() })),
});

interface SpdxPackage {
  SPDXID: string;
  name: string;
  versionInfo: string;
  downloadLocation: string;
  filesAnalyzed: false;
  licenseConcluded: string;
  licenseDeclared: string;
  copyrightText: string;
  licenseComments?: string;
  comment?: string;
  checksums?: { algorithm: string; checksumValue: string }[];
  externalRefs: { referenceCategory: string; referenceType: string; referenceLocator: string }[];
}

/** The document as text. */
export function makeSbom({ name, epoch, suite, debs, npm, clis }: SbomInput): string {
  const packages = [...debs.map((deb) => debPackage(deb, suite)), ...npm.map((entry) => npmPackage(entry, clis))];
  const unknown = new Set(
    packages.map((entry) => entry.licenseDeclared).flatMap((text) => text.match(reference) ?? []),
  );
  const document = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name,
    documentNamespace: `https://airlock.invalid/sbom/${name}`,
    creationInfo: {
      created: new Date(epoch * 1000).toISOString().replace('.000Z', 'Z'),
      creators: ['Tool: airlock-image-builder'],
    },
    packages,
    hasExtractedLicensingInfos: [...unknown].sort().map((licenseId) => ({
      licenseId,
      extractedText: `See /usr/share/doc/PACKAGE/copyright for what Debian calls "${licenseId.slice('LicenseRef-'.length)}".`,
    })),
    relationships: packages.map((entry) => ({
      spdxElementId: 'SPDXRef-DOCUMENT',
      relationshipType: 'DESCRIBES',
      relatedSpdxElement: entry.SPDXID,
    })),
  };
  return `${JSON.stringify(document, null, 1)}\n`;
}

const reference = /LicenseRef-[A-Za-z0-9.-]+/g;
const idOf = (...parts: string[]): string => `SPDXRef-${parts.join('-').replace(/[^A-Za-z0-9.-]/g, '-')}`;

function purl(type: string, name: string, version: string, qualifiers = ''): SpdxPackage['externalRefs'] {
  const path = name.split('/').map(encodeURIComponent).join('/');
  const referenceLocator = `pkg:${type}/${path}@${encodeURIComponent(version)}${qualifiers}`;
  return [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator }];
}

const rest = { downloadLocation: 'NOASSERTION', filesAnalyzed: false, copyrightText: 'NOASSERTION' } as const;

function debPackage(deb: DebPackage, suite: string): SpdxPackage {
  const licence = [...new Set(deb.licences.map(spdxLicence))].sort().join(' AND ') || 'NOASSERTION';
  return {
    SPDXID: idOf('deb', deb.name, deb.architecture),
    name: deb.name,
    versionInfo: deb.version,
    ...rest,
    licenseConcluded: 'NOASSERTION',
    licenseDeclared: licence,
    ...(deb.licences.length > 0 && { licenseComments: `Debian's copyright file names: ${deb.licences.join('; ')}` }),
    externalRefs: purl('deb/debian', deb.name, deb.version, `?arch=${deb.architecture}&distro=${suite}`),
  };
}

function npmPackage(entry: NpmPackage, clis: readonly Cli[]): SpdxPackage {
  const cli = clis.find((one) => entry.path === `node_modules/${one.package}`);
  const sha512 = cli && Buffer.from(cli.integrity.slice('sha512-'.length), 'base64').toString('hex');
  return {
    SPDXID: idOf('npm', entry.path),
    name: cli?.package ?? entry.name,
    versionInfo: entry.version,
    ...rest,
    licenseConcluded: 'NOASSERTION',
    licenseDeclared: isExpression(entry.license) ? entry.license : 'NOASSERTION',
    ...(entry.license !== null && { licenseComments: `package.json says: ${entry.license}` }),
    ...(sha512 && { checksums: [{ algorithm: 'SHA512', checksumValue: sha512 }] }),
    ...(cli?.native && { comment: `The program alone, of ${installedPackage(cli)}; the checksum is of that package.` }),
    // Under both names, because advisories are written for the package that people install.
    externalRefs: [cli?.package ?? entry.name, ...(cli?.native ? [entry.name] : [])].flatMap((name) =>
      purl('npm', name, entry.version),
    ),
  };
}

const isExpression = (text: string | null): text is string =>
  text !== null && /^\(?[A-Za-z0-9.+-]+( (OR|AND) [A-Za-z0-9.+-]+)*\)?$/.test(text) && text !== 'UNLICENSED';

/** Debian's short names and the SPDX identifiers of the same licences. */
const spdxNames: Readonly<Record<string, string>> = {
  'GPL-1': 'GPL-1.0-only',
  'GPL-1+': 'GPL-1.0-or-later',
  'GPL-2': 'GPL-2.0-only',
  'GPL-2+': 'GPL-2.0-or-later',
  'GPL-3': 'GPL-3.0-only',
  'GPL-3+': 'GPL-3.0-or-later',
  'LGPL-2': 'LGPL-2.0-only',
  'LGPL-2+': 'LGPL-2.0-or-later',
  'LGPL-2.1': 'LGPL-2.1-only',
  'LGPL-2.1+': 'LGPL-2.1-or-later',
  'LGPL-3': 'LGPL-3.0-only',
  'LGPL-3+': 'LGPL-3.0-or-later',
  'AGPL-3': 'AGPL-3.0-only',
  'AGPL-3+': 'AGPL-3.0-or-later',
  'Apache-2.0': 'Apache-2.0',
  'Artistic-2': 'Artistic-2.0',
  'BSD-2-clause': 'BSD-2-Clause',
  'BSD-3-clause': 'BSD-3-Clause',
  'BSD-4-clause': 'BSD-4-Clause',
  'CC0-1.0': 'CC0-1.0',
  'CC-BY-SA-4.0': 'CC-BY-SA-4.0',
  Expat: 'MIT',
  ISC: 'ISC',
  MIT: 'MIT',
  'MPL-1.1': 'MPL-1.1',
  'MPL-2.0': 'MPL-2.0',
  Zlib: 'Zlib',
  zlib: 'Zlib',
};

/** One licence of a copyright file; what SPDX has no certain name for becomes a reference to Debian's own. */
function spdxLicence(name: string): string {
  return spdxNames[name] ?? `LicenseRef-${name.replace(/[^A-Za-z0-9.]+/g, '-').replace(/^-+|-+$/g, '') || 'unnamed'}`;
}
