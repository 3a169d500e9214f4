/** What is known of a provider from its recordings: `fixtures/<id>/cases.json`, read for the tests that every provider has to pass. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { FileTexts } from './facts.js';
import type { ProviderId } from './provider.js';

/** Text by path relative to the home; a document stands for its JSON. */
const Files = z
  .record(z.string(), z.union([z.string(), z.looseObject({})]))
  .transform(
    (files): FileTexts =>
      new Map(Object.entries(files).map(([path, text]) => [path, typeof text === 'string' ? text : asText(text)])),
  );
const Pattern = z.string().transform((source) => new RegExp(source, 'm'));
/** A file of the same folder: what the CLI showed, byte for byte, secrets replaced by `x`. */
const Recorded = z.string().regex(/^[\w.-]+$/);

const Cases = z.strictObject({
  /** Of a login, a refusal, each further way: what the agent makes of it, and what its last lines say. */
  recordings: z
    .array(
      z.strictObject({
        file: Recorded,
        method: z.enum(['browser', 'device_code', 'callback']),
        pageHost: z.string().nullable().default(null),
        deviceCode: z.strictObject({ url: Pattern, code: z.string().nullable() }).nullable().default(null),
        takesCode: z.boolean().default(false),
        says: z.string().min(1),
        /** Of a refusal: what a person is told. */
        refused: Pattern.optional(),
      }),
    )
    .min(1),
  /** Logins that the CLI takes, the first as it writes it itself; and what their files say of their end. */
  complete: z
    .array(
      z.strictObject({
        what: z.string(),
        files: Files,
        expiry: z.strictObject({ expiresAt: z.number(), renewable: z.boolean() }).nullable(),
      }),
    )
    .min(1),
  incomplete: z.array(z.strictObject({ what: z.string(), files: Files, reason: Pattern })).min(1),
  /** What of the captured files is handed over, where that is not simply all. */
  handOver: z.array(z.strictObject({ what: z.string(), files: Files, becomes: Files })),
  /** What the CLI says when it is asked about its login; the first is a yes. */
  proofs: z
    .array(
      z.strictObject({
        what: z.string(),
        exitCode: z.int(),
        output: z.string().default(''),
        file: Recorded.optional(),
        accepted: z.boolean(),
        refused: Pattern.optional(),
      }),
    )
    .min(2),
  apiKey: z.strictObject({ accepted: z.string(), refused: z.array(z.string()).min(1), files: Files }).nullable(),
  pasteCode: z.strictObject({ accepted: z.string(), refused: z.array(z.string()).min(1) }).nullable(),
  /** What the CLI printed for a prompt, on both streams: the whole answer, or why it gave up, or neither by then; and what it told meanwhile. */
  prompts: z.array(
    z.strictObject({
      file: Recorded,
      answer: z.string().optional(),
      error: Pattern.optional(),
      /** What a person is told of that. */
      refused: Pattern.optional(),
      statuses: z.array(Pattern).default([]),
    }),
  ),
  /** Lines that tell a person nothing. */
  silentLines: z.array(z.string()),
});
export type ProviderCases = z.infer<typeof Cases>;

const asText = (document: object): string => `${JSON.stringify(document, null, 2)}\n`;
/** From here as well as from the folder that it is compiled to. */
const folderOf = (id: ProviderId): URL => new URL(`../../src/provider/fixtures/${id}/`, import.meta.url);

export const readRecording = (id: ProviderId, file: string): Promise<string> =>
  readFile(new URL(file, folderOf(id)), 'utf8');

/** With the output of each proof in place of its file's name. */
export async function readCases(id: ProviderId): Promise<ProviderCases> {
  const cases = Cases.parse(JSON.parse(await readRecording(id, 'cases.json')));
  const proofs = cases.proofs.map(async ({ file, ...proof }) =>
    file === undefined ? proof : { ...proof, output: await readRecording(id, file) },
  );
  return { ...cases, proofs: await Promise.all(proofs) };
}
