/** The windows that the window manager has: which they are, where they are, and putting them where they can be used. */
import { layoutOf, type Area, type DesktopSize } from '@airlock/contract/desktop';
import { clientMessage, eventMasks, getGeometry, mapWindow, queryTree, sendEvent, wordsOf } from '../x11/requests.js';
import type { XDisplay } from '../x11/x11.js';

export interface ManagedWindow {
  window: number;
  /** other: a pop-up or a dialog. */
  kind: 'browser' | 'terminal' | 'other';
  /** A browser window that is not the browser: it has the browser's role, and without a frame it would only cover it. */
  isFurther: boolean;
}

const nothing = Buffer.alloc(0);
const iconic = 3;

/** null: no window manager runs. */
export async function managedWindows(display: XDisplay): Promise<ManagedWindow[] | null> {
  const { root } = display;
  const mark = wordsOf((await display.property(root, '_NET_SUPPORTING_WM_CHECK')) ?? nothing)[0];
  // A dead window manager leaves its mark on the root window, but not the window that the mark names.
  if (mark === undefined || (await display.property(mark, '_NET_SUPPORTING_WM_CHECK')) === null) return null;
  const listed = wordsOf((await display.property(root, '_NET_CLIENT_LIST')) ?? nothing);
  const kinds = await Promise.all(listed.map(async (window) => kindOf(display, window)));
  const first = kinds.indexOf('browser');
  return listed.map((window, at) => {
    const kind = kinds[at] ?? 'other';
    const isFurther = kind === 'browser' && at !== first;
    return { window, kind: isFurther ? 'other' : kind, isFurther };
  });
}

async function kindOf(display: XDisplay, window: number): Promise<ManagedWindow['kind']> {
  const [classes, role] = await Promise.all([
    display.property(window, 'WM_CLASS'),
    display.property(window, 'WM_WINDOW_ROLE'),
  ]);
  const names = String(classes).toLowerCase().split('\0');
  if (names.includes('xterm')) return 'terminal';
  return names.includes('chromium') && String(role) === 'browser' ? 'browser' : 'other';
}

/** Nothing on the desktop brings a window back that was made an icon. */
export async function uniconify(display: XDisplay, windows: readonly ManagedWindow[]): Promise<void> {
  for (const { window } of windows) {
    const [state] = wordsOf((await display.property(window, 'WM_STATE')) ?? nothing);
    if (state === iconic) display.send(mapWindow(window));
  }
}

/** Gives a further browser window a frame, by which it can be closed: openbox's own state, as its rule for the browser takes it away. */
export async function frameFurther(display: XDisplay, windows: readonly ManagedWindow[]): Promise<void> {
  const [state, undecorated] = await Promise.all([
    display.atom('_NET_WM_STATE'),
    display.atom('_OB_WM_STATE_UNDECORATED'),
  ]);
  for (const { window, isFurther } of windows)
    if (isFurther) tellManager(display, window, state, [0, undecorated, 0, 1]);
}

function tellManager(display: XDisplay, window: number, type: number, data: readonly number[]): void {
  display.send(sendEvent(display.root, eventMasks.ofWindowManager, clientMessage(window, type, data)));
}

/**
 * Puts the browser and the terminal where they belong on a desktop of this size, and everything else within it. The window manager does
 * so a moment later; true: all are there already.
 */
export async function layOut(
  display: XDisplay,
  windows: readonly ManagedWindow[],
  size: DesktopSize,
): Promise<boolean> {
  const layout = layoutOf(size);
  let isDone = true;
  for (const { window, kind } of windows) {
    const frame = await frameOf(display, window);
    if (frame === null) continue;
    const to = kind === 'other' ? within(frame.area, size) : layout[kind];
    if (isAt(frame.area, to, kind === 'terminal' ? largestCharacter : 0)) continue;
    isDone = false;
    await moveTo(display, window, to, frame);
  }
  return isDone;
}

/** Pixels: a terminal is as many characters as fit. */
const largestCharacter = 24;

function isAt(area: Area, to: Area, slack: number): boolean {
  const isAlmost = (length: number, most: number): boolean => length <= most && length >= most - slack;
  return area.x === to.x && area.y === to.y && isAlmost(area.width, to.width) && isAlmost(area.height, to.height);
}

/** Windows that were out of reach when last looked at: where, and since when, in milliseconds of `performance.now()`. */
export type Lost = Map<number, { area: Area; since: number }>;

/** Milliseconds: the window manager changes place and size of a window by several requests, and a look may come between them. */
const restsMs = 1000;

/** Pulls back what has left the screen so far that a hand does not reach it, and rests there. */
export async function pullBack(
  display: XDisplay,
  windows: readonly ManagedWindow[],
  size: DesktopSize,
  lost: Lost,
): Promise<void> {
  const now = performance.now();
  const before = new Map(lost);
  lost.clear();
  for (const { window } of windows) {
    const frame = await frameOf(display, window);
    if (frame === null || isReachable(frame.area, size)) continue;
    const known = before.get(window);
    const since = known && isAt(known.area, frame.area, 0) ? known.since : now;
    if (now - since >= restsMs) await moveTo(display, window, within(frame.area, size), frame);
    else lost.set(window, { area: frame.area, since });
  }
}

/** Pixels of a title bar that a hand can take. */
const handle = 60;

export function isReachable({ x, y, width }: Area, size: DesktopSize): boolean {
  const visible = Math.min(x + width, size.width) - Math.max(x, 0);
  return y >= 0 && y < size.height - handle / 2 && visible >= Math.min(width, handle);
}

/** The area moved into the screen by the shortest way, and made smaller where it must be. */
export function within({ x, y, width, height }: Area, size: DesktopSize): Area {
  const fit = (at: number, length: number, most: number) => {
    const taken = Math.min(length, most);
    return [Math.min(Math.max(at, 0), most - taken), taken] as const;
  };
  const [[left, wide], [top, high]] = [fit(x, width, size.width), fit(y, height, size.height)];
  return { x: left, y: top, width: wide, height: high };
}

interface Frame {
  /** With its frame. */
  area: Area;
  /** Pixels of the frame: left and right together, top and bottom together. */
  border: { wide: number; high: number };
}

/** null: the window has gone. The place is the answer to one question, about the frame itself: between two it may become another. */
async function frameOf(display: XDisplay, window: number): Promise<Frame | null> {
  const parent = (await display.ask(queryTree(window)))?.readUInt32LE(12);
  const [geometry, extents] = await Promise.all([
    display.ask(getGeometry(parent === undefined || parent === display.root ? window : parent)),
    display.property(window, '_NET_FRAME_EXTENTS'),
  ]);
  if (!geometry || !extents) return null;
  const [left = 0, right = 0, top = 0, bottom = 0] = wordsOf(extents);
  const [x, y] = [geometry.readInt16LE(12), geometry.readInt16LE(14)];
  const [width, height] = [geometry.readUInt16LE(16), geometry.readUInt16LE(18)];
  return { area: { x, y, width, height }, border: { wide: left + right, high: top + bottom } };
}

/** _NET_MOVERESIZE_WINDOW: gravity north-west, x, y, width and height are given, by a program. */
const moveFlags = 1 | (0b1111 << 8) | (1 << 12);

async function moveTo(display: XDisplay, window: number, to: Area, { border }: Frame): Promise<void> {
  const [state = 0, ...large] = await Promise.all(
    ['_NET_WM_STATE', '_NET_WM_STATE_MAXIMIZED_VERT', '_NET_WM_STATE_MAXIMIZED_HORZ', '_NET_WM_STATE_FULLSCREEN'].map(
      async (name) => display.atom(name),
    ),
  );
  for (const which of large) tellManager(display, window, state, [0, which, 0, 1]);
  const inside = [to.width - border.wide, to.height - border.high];
  tellManager(display, window, await display.atom('_NET_MOVERESIZE_WINDOW'), [moveFlags, to.x, to.y, ...inside]);
}
