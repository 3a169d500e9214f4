/** Mantine's part of the look; the rest is the custom properties of app.css. */
import { createTheme } from '@mantine/core';

export const theme = createTheme({
  primaryColor: 'tide',
  primaryShade: { light: 7, dark: 4 },
  autoContrast: true,
  luminanceThreshold: 0.35,
  colors: {
    tide: [
      '#e8f6f5',
      '#cfebe8',
      '#a3d9d4',
      '#72c6bf',
      '#4cb8b0',
      '#2ea39b',
      '#16857f',
      '#0b6e6a',
      '#085855',
      '#054543',
    ],
  },
  fontFamily: 'var(--font-text)',
  fontFamilyMonospace: 'var(--font-mono)',
  headings: { fontFamily: 'var(--font-text)', fontWeight: '600' },
  defaultRadius: 8,
  cursorType: 'pointer',
  respectReducedMotion: true,
});
