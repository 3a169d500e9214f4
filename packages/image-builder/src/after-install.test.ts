import { expect, it } from 'vitest';
import { afterInstallScript } from './after-install.js';
import { projectClis } from './inputs.js';

it('runs the script of each CLI that names one in its folder, and sees to it that the program can be run', async () => {
  const { clis } = await projectClis();
  const script = afterInstallScript(clis);
  const named = clis.filter(({ afterInstall }) => afterInstall !== undefined);
  expect(named.length).toBeGreaterThan(0);
  for (const { package: name, afterInstall, command } of named) {
    const lines = [`cd '/usr/local/lib/node_modules/${name}'`, `node '${afterInstall}'`];
    expect(script).toContain([...lines, `chmod 0755 "$(realpath '/usr/local/bin/${command}')"`].join('\n'));
  }
  expect(script.match(/^node /gm)).toHaveLength(named.length);
});
