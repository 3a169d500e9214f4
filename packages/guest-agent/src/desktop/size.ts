/** Gives the display another size, by RANDR: a mode of that size is made, and those of former sizes are removed. */
import type { DesktopSize } from '@airlock/contract/desktop';
import { getGeometry, grabServer, pair, request, ungrabServer, words } from '../x11/requests.js';
import type { XDisplay } from '../x11/x11.js';

/** Of the requests of RANDR. */
const minor = {
  setScreenSize: 7,
  createMode: 16,
  destroyMode: 17,
  addOutputMode: 18,
  deleteOutputMode: 19,
  setCrtcConfig: 21,
  getResources: 25,
};
const upright = 1;
/** Millimetres at 96 pixels an inch. */
const millimetres = (pixels: number): number => Math.round((pixels * 25.4) / 96);
const modeBytes = 32;

interface Resources {
  crtc: number;
  output: number;
  modes: (DesktopSize & { id: number; isOwn: boolean })[];
}

/** Modes that this agent has made begin so; that of the boot stays, and the server's own are called by their size. */
const ownName = 'airlock-';

/** Of GetScreenResourcesCurrent. @throws Error when there is no screen */
function readResources(answer: Buffer | null): Resources {
  const [crtcs = 0, outputs = 0, modes = 0] = [16, 18, 20].map((at) => answer?.readUInt16LE(at) ?? 0);
  if (answer === null || crtcs === 0 || outputs === 0) throw new Error('The X server has no screen that takes a size.');
  const firstMode = 32 + 4 * (crtcs + outputs);
  let nameAt = firstMode + modes * modeBytes;
  return {
    crtc: answer.readUInt32LE(32),
    output: answer.readUInt32LE(32 + 4 * crtcs),
    modes: Array.from({ length: modes }, (_, index) => {
      const at = firstMode + index * modeBytes;
      const name = answer.toString('latin1', nameAt, (nameAt += answer.readUInt16LE(at + 26)));
      const [width, height] = [answer.readUInt16LE(at + 4), answer.readUInt16LE(at + 6)];
      return { id: answer.readUInt32LE(at), width, height, isOwn: name.startsWith(ownName) };
    }),
  };
}

/** A mode without any timing: the screen exists in memory alone. */
function createMode(opcode: number, root: number, { width, height }: DesktopSize): Buffer {
  const name = Buffer.from(`${ownName}${width}x${height}`);
  const timing = [0, pair(width, width), pair(width, 0), pair(height, height), pair(height, name.length), 0];
  return request(opcode, minor.createMode, root, words(0, pair(width, height), ...timing), name);
}

export async function sizeOf(display: XDisplay): Promise<DesktopSize | null> {
  const answer = await display.ask(getGeometry(display.root));
  return answer && { width: answer.readUInt16LE(16), height: answer.readUInt16LE(18) };
}

/** @throws Error when the X server does not take the size */
export async function setSize(display: XDisplay, size: DesktopSize): Promise<void> {
  const { width, height } = size;
  const { root } = display;
  const isThere = (now: DesktopSize | null): boolean => now?.width === width && now.height === height;
  if (isThere(await sizeOf(display))) return;
  const { opcode } = await display.extension('RANDR');
  const found = readResources(await display.ask(request(opcode, minor.getResources, root)));
  const { crtc, output } = found;
  const known = found.modes.find((mode) => isThere(mode))?.id;
  const mode = known ?? (await display.ask(createMode(opcode, root, size)))?.readUInt32LE(8) ?? 0;
  if (mode === 0) throw new Error(`The X server has made no mode of ${width}x${height}.`);
  display.send(request(opcode, minor.addOutputMode, output, mode));
  const show = (shown: number, outputs: number[]): Promise<Buffer | null> =>
    display.ask(request(opcode, minor.setCrtcConfig, crtc, 0, 0, pair(0, 0), shown, pair(upright, 0), ...outputs));
  // Nobody is to see the screen between two sizes, and what is shown is never larger than the screen.
  display.send(grabServer());
  const hidden = show(0, []);
  const [wide, high] = [millimetres(width), millimetres(height)];
  display.send(request(opcode, minor.setScreenSize, root, pair(width, height), wide, high));
  const shown = show(mode, [output]);
  display.send(ungrabServer());
  const [, answer] = await Promise.all([hidden, shown]);
  const now = await sizeOf(display);
  if (answer?.readUInt8(1) !== 0 || !isThere(now)) {
    throw new Error(`The X server did not take a size of ${width}x${height}: it has ${now?.width}x${now?.height}.`);
  }
  for (const former of found.modes.filter(({ id, isOwn }) => isOwn && id !== mode)) {
    display.send(request(opcode, minor.deleteOutputMode, output, former.id));
    display.send(request(opcode, minor.destroyMode, former.id));
  }
}
