import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from './checkout.mjs';
import { parse, suites } from './kvm-host.mjs';

test('a command takes the place of what is run otherwise', () => {
  expect(parse([]).commands.map(({ name }) => name)).toEqual(Object.keys(suites));
  expect(parse(['--only', 'facts']).commands).toMatchObject([
    { name: 'facts', minutes: 10, command: suites.facts.command },
  ]);
  expect(parse(['--minutes', '5']).commands.map(({ minutes }) => minutes)).toEqual(Object.keys(suites).map(() => 5));
  const asked = parse(['--minutes', '5', '--', 'sh', '-c', "echo 'a b' --only"]);
  expect(asked).toMatchObject({ commands: [{ name: 'sh', minutes: 5, command: ['sh', '-c', "echo 'a b' --only"] }] });
});

test.each([
  [['--only', 'nothing'], /There is no nothing to run/],
  [['--only', 'facts', '--', 'true'], /give one of them/],
  [['--minutes', '0'], /--minutes is "0"/],
  [['--minutes', '1h'], /--minutes is "1h"/],
])('%j is refused', (args, why) => {
  expect(() => parse(args)).toThrow(why);
});

test('what is run is there', () => {
  const files = Object.values(suites).flatMap(({ command }) => command.filter((word) => word.startsWith('tests/')));
  expect(files.length).toBeGreaterThanOrEqual(5);
  expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([]);
});
