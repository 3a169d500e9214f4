/** What a person does with a desktop besides looking at it and pressing keys: size, paste, copy, and reading the login's terminal. */
import { z } from 'zod';
import { named } from './named.js';
import { answerBytes, largeAnswers, receivedText } from './received.js';

/** Pixels. The display is made as large as `largest` and shows a part of that. No window of Chromium is narrower than `smallest`. */
export const desktopSizes = {
  smallest: { width: 500, height: 480 },
  /** Until somebody asks for another. */
  usual: { width: 1280, height: 800 },
  largest: { width: 2560, height: 1600 },
} as const;
const { smallest, largest } = desktopSizes;
const sides = {
  width: z.int().min(smallest.width).max(largest.width),
  height: z.int().min(smallest.height).max(largest.height),
};
/** The agent's `POST /desktop/size`; the windows are laid out anew. */
export const DesktopSize = z.object(sides);
export type DesktopSize = z.infer<typeof DesktopSize>;
/** `POST /api/vm/:id/desktop/size` */
export const DesktopSizeRequest = z.strictObject(sides);

export interface Area {
  x: number;
  y: number;
  width: number;
  height: number;
}
/** Pixels. A desktop that is as wide has the terminal beside the browser, a narrower one below it. */
const sideBySide = 1000;
/** Pixels of the terminal with its frame: 54 columns beside the browser; below it two fifths of the height. */
const terminalWidth = 448;

/** Where browser and terminal are, frames included. The terminal, whose size is whole characters, may be smaller by less than one. */
export function layoutOf({ width, height }: DesktopSize): { browser: Area; terminal: Area } {
  if (width >= sideBySide) {
    const left = width - terminalWidth;
    return {
      browser: { x: 0, y: 0, width: left, height },
      terminal: { x: left, y: 0, width: terminalWidth, height },
    };
  }
  const above = Math.round(height * 0.6);
  return {
    browser: { x: 0, y: 0, width, height: above },
    terminal: { x: 0, y: above, width, height: height - above },
  };
}

/** Characters (UTF-16 units) of one paste, and of what is copied out: whole in one request of X11. */
export const clipboardCharacters = 65_536;

/**
 * What the keyboard of the desktop, `us(altgr-intl)`, has beyond ASCII; each one's keysym is its code point. x11vnc makes keys for eighteen
 * others, and loses all further ones without a word: what is not here is pasted.
 */
export const keyboardCharacters = '¡¢£¤¥¦§©«¬®°±²³µ¶·¹»¼½¾¿×÷ÁÄÅÆÇÉËÍÏÐÑÓÖØÚÜÞßáäåæçéëíïðñóöøúüþ';

const paste = {
  text: z.string().min(1).max(clipboardCharacters),
  /** A secret: the clipboard is emptied as soon as it was fetched. */
  masked: z.boolean().default(false),
};
/** The agent's `POST /desktop/paste`: `text` is put where the keyboard of the desktop is. */
export const DesktopPaste = z.object(paste);
export type DesktopPaste = z.infer<typeof DesktopPaste>;
/** `POST /api/vm/:id/desktop/paste`; never stored or logged. */
export const DesktopPasteRequest = z.strictObject(paste);
const typed = { text: z.string().min(1).max(4096) };
/** The agent's `POST /desktop/type`: `text` is typed where the keyboard of the desktop is, key by key, and is on no clipboard. */
export const DesktopTyping = z.object(typed);
/** `POST /api/vm/:id/desktop/type`; never stored or logged. */
export const DesktopTypingRequest = z.strictObject(typed);
/** `fetched`: a program has taken the text; otherwise nothing there takes a paste, and the clipboard is as empty as before. */
export const DesktopPasted = z.object({ fetched: z.boolean() }).register(named, { id: 'DesktopPasted' });
export type DesktopPasted = z.infer<typeof DesktopPasted>;

/** As it was copied, for the person's own clipboard: only what would steer a terminal is taken out. */
const copiedText = z
  .string()
  .max(clipboardCharacters)
  .overwrite((text) => text.replace(/(?![\n\t])[\p{Cc}\p{Cs}]/gu, '\uFFFD'));
/** What was copied in the desktop last; null when nothing was. */
export const DesktopCopied = z
  .object({ text: copiedText.nullable() })
  .register(largeAnswers, { bytes: answerBytes.bundle });
export type DesktopCopied = z.infer<typeof DesktopCopied>;

/** The terminal of the login as it stands, without secrets; no lines before a login has begun. */
export const LoginTerminal = z
  .object({
    columns: z.int().min(1).max(500),
    lines: z.array(receivedText(500)).max(200),
  })
  .register(largeAnswers, { bytes: answerBytes.bundle });
export type LoginTerminal = z.infer<typeof LoginTerminal>;
