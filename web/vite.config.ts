import { fileURLToPath } from 'node:url';
import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';
import { budget } from './tools/budget.ts';

const hub = process.env.HBCLOUD_URL ?? 'http://127.0.0.1:3000';
const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const toHub = { target: hub, changeOrigin: false };

export default defineConfig({
  plugins: [react(), tailwindcss(), budget({ entry: 'index', firstLoad: 150, route: 100 })],
  resolve: { alias: { '@': file('src') } },
  // Everything with a hash lives in assets/: the hub serves that folder as immutable.
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1000, // kB; the budgets below judge what matters
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: { index: file('index.html'), docs: file('docs/index.html') },
      output: {
        // Few files: what every page needs, what pages share, the chart library, and the pages.
        codeSplitting: {
          groups: [
            { name: 'vendor', test: /node_modules\/(react|react-dom|react-router|scheduler|zustand|openapi-fetch|clsx)\// },
            { name: 'openapi-explorer', test: /node_modules\/openapi-explorer\// },
            { name: 'uplot', test: /node_modules\/uplot\// },
            { name: 'shared', test: /(src\/(components|hooks|lib|api|state)|node_modules)\//, minShareCount: 3 },
          ],
        },
      },
    },
  },
  server: { port: 5173, proxy: { '/v1': toHub } },
  test: {
    environment: 'jsdom',
    globals: true,
    setupFiles: ['src/tests/setup.ts'],
    include: ['src/**/*.test.{ts,tsx}'],
    restoreMocks: true,
    testTimeout: 20_000, // of a slow, busy machine; a test that passes takes a fraction
    // Answers that come while a test types are what happens in a browser too; the tests wait for what they look for.
    onConsoleLog: (log) => !log.includes('not wrapped in act('),
  },
});
