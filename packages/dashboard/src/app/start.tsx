/** Starts the dashboard: one API client, one query cache, one router. */
import { MantineProvider } from '@mantine/core';
import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { createApi } from '../api/api.js';
import { ApiContext } from '../api/api-context.js';
import { createQueryClient } from '../api/query-client.js';
import './mantine.css';
import './app.css';
import { createAppRouter } from './router.js';
import { theme } from './theme.js';

const api = createApi();
const queryClient = createQueryClient(() => void router.navigate({ to: '/login' }));
const router = createAppRouter(api, queryClient);

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no element with the id "root"');
createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto">
      <ApiContext value={api}>
        <QueryClientProvider client={queryClient}>
          <RouterProvider router={router} />
        </QueryClientProvider>
      </ApiContext>
    </MantineProvider>
  </StrictMode>,
);
