import { expect, test } from 'vitest';
import { readControllerLine } from './controller-line.js';

test.each([
  ['Airlock is ready: http://127.0.0.1:4000/login#t=abc', { kind: 'ready' }],
  ['{"level":"info","msg":"listening"}', { kind: 'log', shown: null }],
  ['{"level":"warn","msg":"vm lost"}', { kind: 'log', shown: 'warning: vm lost' }],
  [
    '{"level":"error","msg":"cannot","err":{"message":"disk full"}}',
    { kind: 'log', shown: 'error: cannot: disk full' },
  ],
  ['{"level":"error"}', { kind: 'log', shown: 'error: {"level":"error"}' }],
  ['{half', { kind: 'log', shown: '{half' }],
  ['Error: boom', { kind: 'log', shown: 'Error: boom' }],
])('%s', (line, expected) => {
  expect(readControllerLine(line)).toMatchObject({ text: line, ...expected });
});
