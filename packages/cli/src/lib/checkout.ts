/** Where the other parts of Airlock lie. They are started as processes, never imported. */
import { fileURLToPath } from 'node:url';

const file = (path: string): string => fileURLToPath(new URL(`../../../../${path}`, import.meta.url));

export const programs = {
  controller: file('packages/controller/dist/main.js'),
  runner: file('packages/runner/dist/main.js'),
  imageBuilder: file('packages/image-builder/dist/main.js'),
} as const;
/** The one list of Debian packages. */
export const packageListFile = file('scripts/packages.json');
