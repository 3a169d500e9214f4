import { describe, expect, it } from 'vitest';
import { chordOfMac, type MacEvent } from './mac-keys.js';

const [control, shift] = [0xffe3, 0xffe1];
const event = (key: string, code: string, held: Partial<MacEvent> = {}): MacEvent => {
  return { key, code, shiftKey: false, ctrlKey: false, altKey: false, metaKey: false, ...held };
};
const cmd = (key: string, code: string, held: Partial<MacEvent> = {}) =>
  chordOfMac(event(key, code, { metaKey: true, ...held }));
const letter = (name: string): number => name.charCodeAt(0);

describe('a key of a Mac', () => {
  it.each([
    ['Cmd+A', cmd('a', 'KeyA'), { held: [control], keysym: letter('a') }],
    ['Cmd+Z', cmd('z', 'KeyZ'), { held: [control], keysym: letter('z') }],
    ['Cmd+Shift+Z', cmd('z', 'KeyZ', { shiftKey: true }), { held: [control, shift], keysym: letter('Z') }],
    ['Cmd+A with Caps Lock', cmd('A', 'KeyA'), { held: [control], keysym: letter('a') }],
    ['Cmd and a letter of another script', cmd('ф', 'KeyA'), { held: [control], keysym: letter('a') }],
    ['Cmd+Enter', cmd('Enter', 'Enter'), { held: [control], keysym: 0xff0d }],
    ['Cmd+Left', cmd('ArrowLeft', 'ArrowLeft'), { held: [], keysym: 0xff50 }],
    ['Cmd+Shift+Right', cmd('ArrowRight', 'ArrowRight', { shiftKey: true }), { held: [shift], keysym: 0xff57 }],
    ['Option+Left', chordOfMac(event('ArrowLeft', 'ArrowLeft', { altKey: true })), { held: [control], keysym: 0xff51 }],
  ])('%s is what it is on the desktop', (_name, chord, wanted) => expect(chord).toEqual(wanted));

  it('copies and cuts by chords that a terminal does nothing at', () => {
    expect(cmd('c', 'KeyC')).toEqual({ held: [control], keysym: 0xff63 });
    expect(cmd('x', 'KeyX')).toEqual({ held: [shift], keysym: 0xffff });
  });

  it('that is only held is nothing by itself', () => {
    expect([cmd('Meta', 'MetaLeft'), chordOfMac(event('Meta', 'MetaLeft')), cmd('Shift', 'ShiftLeft')]).toEqual(
      Array(3).fill('nothing'),
    );
    expect(chordOfMac(event('Alt', 'AltLeft', { altKey: true }))).toBe('nothing');
  });

  it('that makes a character, with Option too, is that character', () => {
    const held = { altKey: true };
    expect([chordOfMac(event('@', 'KeyL', held)), chordOfMac(event('∂', 'KeyD', held))]).toEqual([null, null]);
    expect([chordOfMac(event('c', 'KeyC')), chordOfMac(event('c', 'KeyC', { ctrlKey: true }))]).toEqual([null, null]);
    expect(chordOfMac(event('ArrowLeft', 'ArrowLeft'))).toBeNull();
  });
});
