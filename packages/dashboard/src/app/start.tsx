/** Starts the dashboard: one API client, one query cache, one router. */
import { MantineProvider } from '@mantine/core';
import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { createApi } from '../api/api.js';
import { ApiContext } from '../api/api-context.js';
import { adoptPageSecret, watchOtherTabs } from '../api/page-secret.js';
import { createQueryClient } from '../api/query-client.js';
import './mantine.css';
import './app.css';
import { createAppRouter } from './router.js';
import { theme } from './theme.js';

const api = createApi();
const queryClient = createQueryClient(() => void router.navigate({ to: '/login' }));
const router = createAppRouter(api, queryClient);

// Nobody goes on under the name of somebody else who has signed in, or out, in another tab.
watchOtherTabs(() => {
  if (!location.pathname.endsWith('/login')) return location.reload();
  // A reload would lose the login link that may be open here.
  adoptPageSecret();
  void queryClient.invalidateQueries();
});

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
