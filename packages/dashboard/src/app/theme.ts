/** Mantine's part of the look; the rest is the custom properties of app.css. */
import { Button, createTheme } from '@mantine/core';

export const theme = createTheme({
  primaryColor: 'tide',
  primaryShade: { light: 7, dark: 4 },
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
    red: ['#fceae8', '#f8d2cf', '#f2aea9', '#f29c95', '#f08a82', '#dc5a51', '#c8433b', '#b3322b', '#8f2620', '#6d1b17'],
    gray: [
      '#f5f7f7',
      '#eef2f2',
      '#e3e9e9',
      '#d6dede',
      '#c6d1d1',
      '#9fadaf',
      '#7d8d90',
      '#4f5f62',
      '#2b383a',
      '#10191b',
    ],
    dark: [
      '#e9eff0',
      '#a9b7ba',
      '#8b9a9d',
      '#5f7074',
      '#3a484b',
      '#263134',
      '#1c2527',
      '#151c1e',
      '#101617',
      '#0a0e0f',
    ],
  },
  fontFamily: 'var(--font-text)',
  fontFamilyMonospace: 'var(--font-mono)',
  headings: { fontFamily: 'var(--font-text)', fontWeight: '600' },
  defaultRadius: 8,
  cursorType: 'pointer',
  respectReducedMotion: true,
  components: {
    Button: Button.extend({
      // Dark filled buttons are light, so their words must be dark: Mantine cannot know the scheme when it decides.
      vars: (_theme, { variant = 'filled' }) => ({
        root: variant === 'filled' ? { '--button-color': 'var(--on-accent)' } : {},
      }),
    }),
  },
});
