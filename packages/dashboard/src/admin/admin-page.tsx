/** /admin: the state of the controller and its VMs, to look at. */
import { AppError } from '@airlock/contract/errors';
import { Page } from '../ui/page.js';
import { Problem } from '../ui/problem.js';
import { useTitle } from '../ui/use-title.js';
import { useMe } from '../user/me.js';
import { useVms } from '../vm/use-vms.js';
import { CliTable } from './cli-table.js';
import { SystemFacts } from './system-facts.js';
import { useSystem, useUsers } from './use-admin.js';
import { VmTable } from './vm-table.js';

const forbidden = new AppError('forbidden', 'This page is for administrators only.', {
  hint: 'Ask the person who runs this Airlock.',
});

export function AdminPage() {
  const user = useMe();
  useTitle('Administration');
  return (
    <Page title="Administration" lead="How this Airlock is doing, refreshed every few seconds.">
      {user.role === 'admin' ? <Overview /> : <Problem error={forbidden.toBody()} />}
    </Page>
  );
}

function Overview() {
  const system = useSystem();
  const vms = useVms();
  const users = useUsers();
  const error = system.error ?? vms.error ?? users.error;
  return (
    <>
      {error !== null && <Problem error={AppError.from(error).toBody()} announce />}
      {system.data !== undefined && <SystemFacts system={system.data} />}
      {system.data !== undefined && <CliTable clis={system.data.clis} canary={system.data.canary} />}
      {vms.data !== undefined && <VmTable vms={vms.data} users={users.data ?? []} />}
    </>
  );
}
