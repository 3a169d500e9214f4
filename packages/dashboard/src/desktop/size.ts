/** How large the desktop is to be: what the person chose, and the place that there is for it. */
import { desktopSizes } from '@airlock/contract/desktop';
import { withStorage } from '../ui/storage.js';

export const sizeChoices = {
  fit: 'Fits this window',
  small: 'Small: large text',
  large: 'Large: small text',
} as const;
export type SizeChoice = keyof typeof sizeChoices;

export interface Size {
  width: number;
  height: number;
}

/** Pixels of the desktop's longer side. */
const longSide = { small: 1024, large: 1920 } as const;
/** A browser is not narrower, nor of use when it is lower: what is smaller shows it smaller. */
const least = { width: 540, height: 540 } as const;
const { smallest, largest } = desktopSizes;

/** The size in pixels for a place of this size in CSS pixels; as high for its width as the place is, within reason. */
export function sizeFor(choice: SizeChoice, place: Size): Size {
  const side = choice === 'fit' ? null : longSide[choice];
  const scale =
    side === null
      ? Math.max(1, least.width / place.width, least.height / place.height)
      : Math.max(side / Math.max(place.width, place.height), least.width / place.width, least.height / place.height);
  const fitted = Math.min(scale, largest.width / place.width, largest.height / place.height);
  return {
    width: within(place.width * fitted, smallest.width, largest.width),
    height: within(place.height * fitted, smallest.height, largest.height),
  };
}

/** Even, as modes of displays are. */
const within = (value: number, least: number, most: number): number =>
  2 * Math.floor(Math.min(Math.max(value, least), most) / 2);

const key = 'airlock.desktop-size';

/** As it was chosen in this browser before. */
export function keptChoice(): SizeChoice {
  const kept = withStorage((storage) => storage.getItem(key)) ?? '';
  return Object.hasOwn(sizeChoices, kept) ? (kept as SizeChoice) : 'fit';
}

export const keepChoice = (choice: SizeChoice): void => void withStorage((storage) => storage.setItem(key, choice));
