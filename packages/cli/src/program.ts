/** All commands: `airlock <noun> <verb>`. Each noun adds its own. */
import { Command } from 'commander';
import { addAudit } from './audit/audit.js';
import { addAuth } from './auth/auth.js';
import { addConfig } from './config/config.js';
import { addCredential } from './credential/credential.js';
import { addDoctor } from './doctor/doctor.js';
import { addFirecracker } from './firecracker/firecracker.js';
import { addImage } from './image/image.js';
import { addPrompt } from './prompt/prompt.js';
import { addSelftest } from './selftest/selftest.js';
import { addUp } from './up/up.js';
import { addUser } from './user/user.js';
import { addVault } from './vault/vault.js';
import { addVm } from './vm/vm.js';

export function createProgram(): Command {
  const program = new Command('airlock')
    .description('Browser-in-browser sign-in for coding CLIs.')
    .showHelpAfterError('(--help shows what is possible)')
    .addHelpText('after', '\nExample:\n  airlock doctor\n\nSettings are environment variables: see `airlock config`.');
  for (const add of [
    addUp,
    addDoctor,
    addConfig,
    addImage,
    addFirecracker,
    addAuth,
    addPrompt,
    addVm,
    addUser,
    addCredential,
    addVault,
    addAudit,
    addSelftest,
  ])
    add(program);
  return program;
}
