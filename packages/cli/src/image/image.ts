/** `airlock image …`: hands over to the image builder, whose output and exit code are shown as they are. */
import type { Command } from 'commander';
import { runAttached } from '../lib/attached.js';
import { programs } from '../lib/checkout.js';

const verbs = {
  build: 'Build the golden image, unless the current one is made from the same inputs.',
  verify: 'Compare the files of an image with its manifest.',
  list: 'List the images of this AIRLOCK_HOME.',
  show: 'Show the manifest of an image.',
} as const;

export function addImage(program: Command): void {
  const image = program.command('image').description('Build, verify and list golden images.');
  for (const [verb, description] of Object.entries(verbs)) {
    image
      .command(verb)
      .description(description)
      .argument('[arguments...]', 'passed on to the image builder')
      .allowUnknownOption()
      .addHelpText('after', `\nExample:\n  airlock image ${verb}`)
      .action(async (rest: string[]) => {
        process.exitCode = await runAttached(process.execPath, [programs.imageBuilder, verb, ...rest]);
      });
  }
}
