import { expect, it } from 'vitest';
import { networkRules } from './rules.js';

const lines = networkRules()
  .split('\n')
  .map((line) => line.trim());

it('refuses what no line allows, in each chain', () => {
  const hooks = lines.filter((line) => line.startsWith('type filter hook'));
  expect(hooks.map((line) => /hook (\w+) .*policy (\w+);$/.exec(line)?.slice(1))).toEqual([
    ['ingress', 'drop'],
    ['input', 'drop'],
    ['forward', 'drop'],
    ['output', 'drop'],
  ]);
});

it('allows one question of ARP, the way to the gateway, answers of two services, and their way back', () => {
  const guest = 'ip saddr 10.0.2.15 ip daddr 10.0.2.100';
  const host = 'ip saddr 10.0.2.100 ip daddr 10.0.2.15';
  const mac = 'ether saddr 52:54:00:12:34:56';
  const frame = `${mac} ether daddr 02:00:0a:00:02:64 ether type ip ip frag-off & 0x3fff == 0 ${guest}`;
  const answer = 'tcp flags & (syn | ack) != syn accept';
  expect(lines.filter((line) => line.endsWith('accept'))).toEqual([
    `${mac} arp operation request arp saddr ether 52:54:00:12:34:56 arp saddr ip 10.0.2.15 arp daddr ip 10.0.2.100 accept`,
    `${frame} tcp dport 3128 accept`,
    `${frame} tcp sport { 8080, 5901 } ${answer}`,
    `iifname "airlock0" ${guest} tcp dport 3128 accept`,
    `iifname "airlock0" ${guest} tcp sport { 8080, 5901 } ${answer}`,
    `oifname "airlock0" ${host} tcp sport 3128 ${answer}`,
    `oifname "airlock0" ${host} tcp dport { 8080, 5901 } accept`,
  ]);
});
