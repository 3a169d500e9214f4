/** The OpenAPI document at /api/openapi.json, made from the schemas that the routes really use. */
import swagger from '@fastify/swagger';
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { pageHeader } from '@airlock/contract/login';
import { named } from '@airlock/contract/named';
import type { Server } from './deps.js';

const describeNamed = createJsonSchemaTransformObject({ schemaRegistry: named });

/** Register before the routes. */
export async function addOpenApi(server: Server): Promise<void> {
  await server.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Airlock', description: 'Browser-in-browser sign-in for coding CLIs.', version: '1' },
      components: {
        securitySchemes: {
          token: { type: 'http', scheme: 'bearer' },
          cookie: {
            type: 'apiKey',
            in: 'cookie',
            name: 'airlock',
            description: 'Under TLS its name is `__Host-airlock`.',
          },
          page: {
            type: 'apiKey',
            in: 'header',
            name: pageHeader,
            description: 'The page secret that belongs to the cookie.',
          },
        },
      },
      security: [{ token: [] }, { cookie: [], page: [] }],
    },
    transform: createJsonSchemaTransform({ schemaRegistry: named }),
    transformObject: (document) => withoutUnused(withShared(describeNamed(document))),
  });
  server.get('/api/openapi.json', { config: { access: 'public' }, schema: { hide: true } }, async (_request, reply) =>
    reply.send(server.swagger()),
  );
}

type Document = ReturnType<typeof describeNamed>;

/** zod puts parts of recursive schemas (any JSON value) under a name that no reference can reach; they become components. */
function withShared(document: Document): Document {
  const text = JSON.stringify(document).replaceAll('/__shared#/$defs/schema', '/Shared');
  const renamed = JSON.parse(text) as { components: { schemas: Record<string, { $defs?: Record<string, unknown> }> } };
  const { __shared: shared, ...schemas } = renamed.components.schemas;
  for (const [name, schema] of Object.entries(shared?.$defs ?? {})) {
    schemas[name.replace(/^schema/, 'Shared')] = schema as object;
  }
  renamed.components.schemas = schemas;
  return renamed as unknown as Document;
}

/** Leaves out the component schemas that nothing refers to: each named schema is made twice, for requests and answers. */
function withoutUnused(document: Document): Document {
  if (!('components' in document) || !document.components?.schemas) return document;
  const schemas: Record<string, unknown> = { ...document.components.schemas };
  const isUsed = (name: string): boolean => {
    const reference = `"#/components/schemas/${name}"`;
    const elsewhere = Object.fromEntries(Object.entries(schemas).filter(([other]) => other !== name));
    return JSON.stringify([document.paths, elsewhere]).includes(reference);
  };
  for (let removed = true; removed;) {
    const unused = Object.keys(schemas).filter((name) => !isUsed(name));
    for (const name of unused) delete schemas[name];
    removed = unused.length > 0;
  }
  return { ...document, components: { ...document.components, schemas } } as Document;
}
