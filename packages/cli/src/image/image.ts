/** `airlock image …`: hands over to the image builder, whose output and exit code are shown as they are. */
import { execFileSync } from 'node:child_process';
import type { Command } from 'commander';
import { runAttached } from '../lib/attached.js';
import { programs } from '../lib/checkout.js';

interface Verb {
  description: string;
  example: string;
}

const verbs: Readonly<Record<string, Verb>> = {
  build: {
    description: 'Build the golden image, unless the current one is made from the same inputs.',
    example: 'build --refresh',
  },
  verify: { description: 'Compare an image with its manifest and start it in a VM.', example: 'verify --json' },
  list: { description: 'List the images of this AIRLOCK_HOME.', example: 'list' },
  show: { description: 'Show the manifest of an image.', example: 'show current' },
  diff: { description: 'Tell what differs between two images.', example: 'diff img_202601011200abcdef01 current' },
  promote: {
    description: 'Make an image current that passed every check.',
    example: 'promote img_202601011200abcdef01',
  },
  rollback: { description: 'Make the image current again that was so before.', example: 'rollback' },
  prune: { description: 'Remove images that nothing needs any more.', example: 'prune --keep 2' },
};

export function addImage(program: Command): void {
  const image = program.command('image').description('Build, verify, compare and choose golden images.');
  for (const [verb, { description, example }] of Object.entries(verbs)) {
    image
      .command(verb)
      .description(description)
      .argument('[arguments...]', 'passed on to the image builder')
      .allowUnknownOption()
      .addHelpText('after', () => `\n${builderHelp()}\nExample:\n  airlock image ${example}`)
      .action(async (rest: string[]) => {
        process.exitCode = await runAttached(process.execPath, [programs.imageBuilder, verb, ...rest]);
      });
  }
}

/** The builder knows its options itself. */
function builderHelp(): string {
  return execFileSync(process.execPath, [programs.imageBuilder, '--help'], { encoding: 'utf8' });
}
