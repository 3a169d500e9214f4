/** Serves the built dashboard: hashed assets for ever, every page as index.html (the page itself finds its way by the path). */
import { access } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { Server } from './deps.js';

const builtFolder = fileURLToPath(new URL('../../../dashboard/dist', import.meta.url));
const notBuilt = `The dashboard is not built.

Run \`npm run build -w @airlock/dashboard\` and reload this page. The API works without it.
`;

export async function addDashboard(server: Server, folder = builtFolder): Promise<void> {
  await server.register(fastifyStatic, { root: folder, serve: false, cacheControl: false, suppressWarning: true });
  const config = { access: 'public' } as const;
  const schema = { hide: true };

  server.get('/', { config, schema }, (_request, reply) => reply.redirect('/dashboard/'));
  server.get('/dashboard', { config, schema }, (_request, reply) => reply.redirect('/dashboard/'));
  server.get<{ Params: { '*': string } }>('/dashboard/assets/*', { config, schema }, (request, reply) =>
    reply.sendFile(`assets/${request.params['*']}`, { cacheControl: true, maxAge: '365d', immutable: true }),
  );
  server.get<{ Params: { '*': string } }>('/dashboard/*', { config, schema }, async (request, reply) => {
    void reply.header('cache-control', 'no-cache');
    const file = request.params['*'];
    if (extname(file) !== '') return reply.sendFile(file);
    const built = await access(join(folder, 'index.html')).then(
      () => true,
      () => false,
    );
    return built ? reply.sendFile('index.html') : reply.status(503).type('text/plain; charset=utf-8').send(notBuilt);
  });
}
