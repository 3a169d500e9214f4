/** What set-up would install can be had, on both Debians: asked of apt itself, from the real package lists, on an empty machine. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseOneLine } from './apt-sources.mjs';
import { planInstall, readPackageList } from './host-packages.mjs';
import { capture } from './run.mjs';
import { networkOptions, readAptSources, sourcesFor } from '../packages/image-builder/dist/apt-sources.js';

/** An apt with folders of its own, which uses this host's mirror for `suite` and knows of no installed package. */
async function emptyMachine(folder, suite) {
  for (const path of ['etc/apt/sources.list.d', 'etc/apt/apt.conf.d', 'etc/apt/preferences.d']) make(folder, path);
  for (const path of ['var/lib/apt/lists/partial', 'var/cache/apt/archives/partial', 'var/lib/dpkg'])
    make(folder, path);
  const lines = sourcesFor(suite, await readAptSources());
  writeFileSync(join(folder, 'etc/apt/sources.list'), `${lines.join('\n')}\n`);
  writeFileSync(join(folder, 'var/lib/dpkg/status'), '');
  const { stdout } = await capture(['apt-config', 'dump']);
  const own = [`Dir "${folder}";`, `Dir::State::status "${folder}/var/lib/dpkg/status";`, 'Acquire::Languages "none";'];
  writeFileSync(join(folder, 'apt.conf'), [...networkOptions(stdout), ...own, 'APT::Sandbox::User "root";'].join('\n'));
  return { sources: parseOneLine(lines.join('\n')), env: { ...process.env, APT_CONFIG: join(folder, 'apt.conf') } };
}

const make = (folder, path) => mkdirSync(join(folder, path), { recursive: true });

test.each(['bookworm', 'trixie'])('%s has every package of the list', async (codename) => {
  const folder = mkdtempSync(join(tmpdir(), 'airlock-apt-'));
  try {
    const { sources, env } = await emptyMachine(folder, codename);
    const { run, test: forTests } = readPackageList();
    const steps = planInstall([...run, ...forTests], { codename, sources });
    const added = steps.find(({ input }) => input !== undefined);
    if (added) writeFileSync(join(folder, 'etc/apt/sources.list.d/added.sources'), added.input);
    const update = await capture(['apt-get', '--quiet', 'update'], { env });
    expect(update, 'apt-get update').toMatchObject({ code: 0 });
    let output = '';
    for (const { argv } of steps.filter((step) => step.argv.includes('install'))) {
      const simulated = await capture(
        argv.map((word) => (word === '--yes' ? '--simulate' : word)),
        { env },
      );
      expect(simulated, argv.join(' ')).toMatchObject({ code: 0 });
      output += simulated.stdout;
    }
    for (const { name } of [...run, ...forTests]) expect(output).toMatch(new RegExp(`^Inst ${name} \\(`, 'm'));
    expect(output).toMatch(/^Inst qemu-system-x86 \(1:1\d\./m);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
