/** Builds the dashboard into dist/; the controller serves it under /dashboard/. `npm run dev` talks to a local controller. */
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  base: '/dashboard/',
  plugins: [react()],
  // Fonts and images stay files: the controller's content security policy allows nothing inline but styles.
  build: { outDir: 'dist', assetsInlineLimit: 0 },
  server: { proxy: { '/api': { target: 'http://127.0.0.1:4000', ws: true } } },
});
