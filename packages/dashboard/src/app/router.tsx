/** The dashboard's addresses. Everything but the login page needs a signed-in user. */
import { AppError } from '@airlock/contract/errors';
import type { QueryClient } from '@tanstack/react-query';
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from '@tanstack/react-router';
import type { Api } from '../api/api.js';
import { ProvidersPage } from '../provider/providers-page.js';
import { LoginPage } from '../user/login-page.js';
import { meQuery } from '../user/me.js';
import { ErrorPage, NotFoundPage, PendingPage } from './fallback-pages.js';
import { Shell } from './shell.js';

export function createAppRouter(api: Api, queryClient: QueryClient) {
  const root = createRootRoute();
  const login = createRoute({ getParentRoute: () => root, path: '/login', component: LoginPage });

  const signedIn = createRoute({
    getParentRoute: () => root,
    id: 'signed-in',
    beforeLoad: () => requireUser(api, queryClient),
  });
  const shell = createRoute({ getParentRoute: () => signedIn, id: 'shell', component: Shell });
  const index = createRoute({
    getParentRoute: () => shell,
    path: '/',
    beforeLoad: () => {
      throw redirect({ to: '/remote-cli', replace: true });
    },
  });
  const remoteCli = createRoute({ getParentRoute: () => shell, path: '/remote-cli', component: ProvidersPage });
  const activity = createRoute({
    getParentRoute: () => shell,
    path: '/activity',
    component: lazyRouteComponent(() => import('../activity/activity-page.js'), 'ActivityPage'),
  });
  const admin = createRoute({
    getParentRoute: () => shell,
    path: '/admin',
    component: lazyRouteComponent(() => import('../admin/admin-page.js'), 'AdminPage'),
  });
  const auth = createRoute({
    getParentRoute: () => signedIn,
    path: '/remote-cli/auth',
    validateSearch: (search): { session?: string } =>
      typeof search['session'] === 'string' ? { session: search['session'] } : {},
    component: lazyRouteComponent(() => import('../session/session-page.js'), 'SessionPage'),
  });

  return createRouter({
    routeTree: root.addChildren([
      login,
      signedIn.addChildren([shell.addChildren([index, remoteCli, activity, admin]), auth]),
    ]),
    basepath: import.meta.env.BASE_URL,
    defaultPreload: 'intent',
    defaultNotFoundComponent: NotFoundPage,
    defaultErrorComponent: ErrorPage,
    defaultPendingComponent: PendingPage,
  });
}

/** Sends who is not signed in to the login page; other failures reach the error page. */
async function requireUser(api: Api, queryClient: QueryClient): Promise<void> {
  try {
    await queryClient.ensureQueryData(meQuery(api));
  } catch (error) {
    if (AppError.from(error).code === 'unauthenticated') throw redirect({ to: '/login' });
    throw error;
  }
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof createAppRouter>;
  }
}
