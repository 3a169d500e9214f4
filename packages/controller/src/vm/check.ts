/** A named check in a VM, asked for by the name that the agent of the VM's image knows. */
import { checkNameFor, CheckResult, currentCheckName, type CheckName } from '@airlock/contract/guest';
import type { Engine } from '../engine/engine.js';
import type { Images } from '../image/image.js';
import type { VmRow } from './vm.js';

/** Checks run CLIs, which under emulation take more than a minute to start. */
const checkTimeoutMs = 300_000;

/** The answer bears the name that was asked for. */
export async function askForCheck(
  { engine, images }: { engine: Pick<Engine, 'client'>; images: Pick<Images, 'manifest'> },
  { id, imageId }: Pick<VmRow, 'id' | 'imageId'>,
  name: CheckName,
): Promise<CheckResult> {
  // Most have one name for all agents.
  const current = currentCheckName(name);
  const isSame = checkNameFor(1, current) === current;
  const known = isSame ? current : checkNameFor((await images.manifest(imageId)).guestProtocol, current);
  const options = { timeoutMs: checkTimeoutMs };
  return { ...(await engine.client(id).call('POST', `/guest/checks/${known}`, CheckResult, options)), name };
}
