import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { run } from '@airlock/contract/process';
import { checkScript, checksFor, readCheckResults } from './check.js';
import { googleChrome } from '../chrome.js';
import { clisOf } from '../cli.js';
import { exampleLock } from '../fixtures/clis.js';

const clis = clisOf(exampleLock);

const checks = [
  { name: 'good', script: 'true' },
  { name: "it's bad", script: "echo 'what is wrong'; false" },
];

const browsers = [null, googleChrome];

describe('checks of a root', () => {
  it('runs each on its own and tells what failed', async () => {
    const { stdout } = await run('sh', ['-s'], { input: checkScript(checks) });
    expect(stdout.split('\n').sort()).toEqual(['', "check failed it's bad: what is wrong ", 'check ok good']);
    expect(() => readCheckResults(checks, stdout)).toThrowError(/1 of 2 checks .*\n {2}it's bad: what is wrong/s);
  });

  it('lets none that goes through the whole root begin before the others have ended', async () => {
    const slow = { name: 'slow', script: 'sleep 0.3; touch "$HOME/done"' };
    const walk = { name: 'walk', script: 'test -e "$HOME/done"', walks: true as const };
    const { stdout } = await run('sh', ['-s'], { input: checkScript([walk, { name: 'quick', script: 'true' }, slow]) });
    expect(stdout.split('\n')).toContain('check ok walk');
    const walkers = checksFor(clis, null).filter(({ script }) => script.includes('find / '));
    expect(walkers.length).toBeGreaterThan(3);
    expect(walkers.every(({ walks }) => walks)).toBe(true);
  });

  it('goes through the whole root but for /dev and the packages', async () => {
    const root = await mkdtemp(join(tmpdir(), 'airlock-checks-'));
    onTestFinished(() => rm(root, { recursive: true }));
    const walk = async (name: string): Promise<string> => {
      const script = checksFor(clis, null).find((check) => check.name === name)?.script ?? '';
      const here = script.replace('find / ', `find ${root} `).replaceAll('-path /', `-path ${root}/`);
      return (await run('sh', ['-c', here], { okCodes: [0, 1] })).stdout;
    };
    for (const folder of ['dev', 'var/cache/apt/archives', 'usr/.npm']) {
      await mkdir(join(root, folder), { recursive: true });
      await writeFile(join(root, folder, 'open'), '');
      await chmod(join(root, folder, 'open'), 0o666);
    }
    expect(await walk('only sticky folders are open to all')).toBe(`${root}/usr/.npm/open\n`);
    expect(await walk('no leftover caches of npm or Python')).toBe(`${root}/usr/.npm\n`);
    expect(await walk('no setuid or setgid program')).toBe('');
  });

  it('does not take silence for success', () => {
    expect(() => readCheckResults(checks, 'check ok good\n')).toThrowError(/it's bad: not run/);
  });

  it('names what passed', () => {
    expect(readCheckResults([checks[0]!], 'noise\ncheck ok good\n')).toEqual(['good']);
  });

  it.each(browsers)('is shell that can be parsed, and has a name only once', async (browser) => {
    const all = checksFor(clis, browser);
    const scripts = [checkScript(all), ...all.map(({ script }) => script)];
    for (const input of scripts) expect((await run('sh', ['-n'], { input })).stderr).toBe('');
    const names = all.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  it('asks for the browser that was chosen', () => {
    const [chromium = '', chrome = ''] = browsers.map((browser) => checkScript(checksFor(clis, browser)));
    expect(chromium).toContain('^Chromium [0-9]+');
    expect(chromium).not.toContain('Google Chrome');
    expect(chrome).toContain(`Google Chrome ${googleChrome.version}`);
    expect(chrome).not.toContain('^Chromium');
  });
});
