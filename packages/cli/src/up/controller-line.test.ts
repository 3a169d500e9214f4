import { expect, test } from 'vitest';
import { readControllerLine } from './controller-line.js';

test.each([
  ['Airlock is ready: http://127.0.0.1:4000/login#t=abc', { kind: 'ready' }],
  ['{"level":30,"msg":"listening"}', { kind: 'log', shown: null }],
  ['{"level":40,"msg":"vm lost"}', { kind: 'log', shown: 'warning: vm lost' }],
  ['{"level":50,"msg":"cannot","err":{"message":"disk full"}}', { kind: 'log', shown: 'error: cannot: disk full' }],
  ['{"level":50}', { kind: 'log', shown: 'error: {"level":50}' }],
  ['{half', { kind: 'log', shown: '{half' }],
  ['Error: boom', { kind: 'log', shown: 'Error: boom' }],
])('%s', (line, expected) => {
  expect(readControllerLine(line)).toMatchObject({ text: line, ...expected });
});
