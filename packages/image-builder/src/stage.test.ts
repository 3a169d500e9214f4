import { expect, it } from 'vitest';
import { withoutProject } from './stage.js';

it('keeps npm’s settings of the machine and drops those of the project that runs it', () => {
  const machine = { PATH: '/bin', npm_config_registry: 'https://registry.example', npm_config_cafile: '/ca.pem' };
  const project = {
    npm_config_prefix: '/usr',
    npm_config_local_prefix: '/p',
    npm_config_strict_allow_scripts: 'true',
    npm_lifecycle_event: 'up',
  };
  expect(withoutProject({ ...machine, ...project })).toEqual(machine);
});
