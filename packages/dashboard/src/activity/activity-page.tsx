/** /activity: where the person is signed in, and what was done that concerns them, also by an administrator. */
import { AppError } from '@airlock/contract/errors';
import { Page } from '../ui/page.js';
import { Problem } from '../ui/problem.js';
import { useTitle } from '../ui/use-title.js';
import { RecordList } from './record-list.js';
import { SignInList } from './sign-in-list.js';
import { useRecords, useSignIns } from './use-activity.js';

export function ActivityPage() {
  useTitle('Activity');
  const records = useRecords();
  const signIns = useSignIns();
  const error = records.error ?? signIns.error;
  return (
    <Page title="Activity" lead="Where you are signed in, and what was done that concerns you.">
      {error !== null && <Problem error={AppError.from(error).toBody()} announce />}
      {signIns.data !== undefined && <SignInList signIns={signIns.data} />}
      {records.data !== undefined && (
        <RecordList
          records={records.data.pages.flatMap((page) => page.records)}
          onMore={records.hasNextPage ? () => void records.fetchNextPage() : undefined}
        />
      )}
    </Page>
  );
}
