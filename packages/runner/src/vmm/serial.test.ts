import { describe, expect, it } from 'vitest';
import { createSerialWatch, findBootFailure } from './serial.js';

describe('signs on the console', () => {
  it.each([
    ['Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)', 'cannot mount'],
    ['[    4.1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100', 'first process ended'],
    ['[    4.1] Kernel panic - not syncing: Fatal exception', 'panicked'],
    ['ALERT!  LABEL=airlock-root does not exist.  Dropping to a shell!', 'does not find its root'],
    ['Gave up waiting for root file system device.', 'does not find its root'],
    ['mount: mounting /dev/vda on /root failed: Invalid argument', 'cannot be mounted'],
    ['No init found. Try passing init= bootarg.', 'holds no init'],
    ['rootfs: UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY.', 'damaged'],
    ["[   40.9] systemd[1]: airlock-xvfb.service: Failed with result 'oom-kill'.", 'too little memory'],
    ['[   40.9] Out of memory: Killed process 190 (Xvfb) total-vm:1kB', 'too little memory'],
    ['(initramfs) ', 'initramfs gave up'],
    ['You are in emergency mode. After logging in, type "journalctl -xb"', 'emergency'],
    ['[!!!!!!] Failed to start up manager.\nsystemd[1]: Freezing execution.', 'systemd stopped'],
  ])('%s', (text, words) => {
    expect(findBootFailure(text)).toContain(words);
  });

  it.each([
    '[    0.0] Linux version 6.12',
    'Begin: Waiting for root file system ...',
    '[  OK  ] Reached target emergency',
  ])('%s is no sign', (text) => {
    expect(findBootFailure(text)).toBeNull();
  });

  it('sees a sign in two pieces, and tells it once', () => {
    const seen: string[] = [];
    const watch = createSerialWatch((meaning) => seen.push(meaning));
    for (const piece of ['[ 1.0] Kernel pan', 'ic - not syncing: Fatal\n', 'Kernel panic - not syncing: again\n']) {
      watch(Buffer.from(piece));
    }
    expect(seen).toEqual(['its kernel panicked']);
  });
});
