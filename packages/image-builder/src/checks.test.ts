import { describe, expect, it } from 'vitest';
import { run } from '@airlock/contract/process';
import { checkScript, checksFor, readCheckResults } from './checks.js';
import { description } from './description.js';

const checks = [
  { name: 'good', script: 'true' },
  { name: "it's bad", script: "echo 'what is wrong'; false" },
];

describe('checks of a root', () => {
  it('runs each on its own and tells what failed', async () => {
    const { stdout } = await run('sh', ['-s'], { input: checkScript(checks) });
    expect(stdout).toBe("check ok good\ncheck failed it's bad: what is wrong \n");
    expect(() => readCheckResults(checks, stdout)).toThrowError(/1 of 2 checks .*\n {2}it's bad: what is wrong/s);
  });

  it('does not take silence for success', () => {
    expect(() => readCheckResults(checks, 'check ok good\n')).toThrowError(/it's bad: not run/);
  });

  it('names what passed', () => {
    expect(readCheckResults([checks[0]!], 'noise\ncheck ok good\n')).toEqual(['good']);
  });

  it('is shell that can be parsed', async () => {
    const scripts = [checkScript(checksFor(description)), ...checksFor(description).map(({ script }) => script)];
    for (const input of scripts) expect((await run('sh', ['-n'], { input })).stderr).toBe('');
  });

  it('has a name only once', () => {
    const names = checksFor(description).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });
});
