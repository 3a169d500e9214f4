import { expect, test } from 'vitest';
import { npmEnvironment, plainEnvironment } from './environment.js';

const secrets = {
  DATABASE_URL: 'postgres://u:canary@h/db',
  AIRLOCK_UPSTREAM_PROXY: 'http://u:canary@h:1',
  AWS_SECRET_ACCESS_KEY: 'canary',
};
/** As `npm run` of this project leaves it to its children. */
const ofProject = {
  npm_config_prefix: '/elsewhere',
  npm_config_local_prefix: '/project',
  npm_config_allow_scripts: 'none',
  npm_config_engine_strict: 'true',
  npm_lifecycle_event: 'up',
  npm_package_name: 'airlock',
  npm_execpath: '/npm',
};
const ofNpm = {
  npm_config_registry: 'https://registry.example/',
  'npm_config_@corp:registry': 'https://corp.example/',
  'npm_config_//registry.example/:_authToken': 'of the registry',
  npm_config_cafile: '/ca.pem',
  npm_config_https_proxy: 'http://proxy:3128',
  npm_config_userconfig: '/home/u/.npmrc',
  npm_config_cache: '/home/u/.npm',
  HTTPS_PROXY: 'http://proxy:3128',
  no_proxy: 'localhost',
  NODE_EXTRA_CA_CERTS: '/ca.pem',
  NPM_TOKEN: 'of the registry',
  npm_config__auth: 'of the registry',
  NODE_USE_SYSTEM_CA: '1',
};
const plain = { PATH: '/bin', HOME: '/home/u', TMPDIR: '/t' };
const env = { ...secrets, ...ofProject, ...ofNpm, ...plain };

test('a program of our own gets what finds programs and files, and no setting or secret of another', () => {
  expect(plainEnvironment(env)).toEqual(plain);
});

test('npm gets the settings of registry, proxy and certificates besides, and nothing of the project it was run from', () => {
  expect(npmEnvironment(env)).toEqual({ ...plain, ...ofNpm });
});

test('npm believes the authorities that the host believes, and takes no other option of Node', () => {
  const options = '--require ./tracer.js --use-openssl-ca  --max-old-space-size=100';
  expect(npmEnvironment({ ...plain, NODE_OPTIONS: options })).toEqual({ ...plain, NODE_OPTIONS: '--use-openssl-ca' });
  expect(npmEnvironment({ ...plain, NODE_OPTIONS: '--inspect' })).toEqual(plain);
});
