/** What is shown when there is no page, when a page cannot load, and while one loads. */
import { AppError } from '@airlock/contract/errors';
import { Button } from '@mantine/core';
import { useRouter } from '@tanstack/react-router';
import { LinkButton } from '../ui/link-button.js';
import { CardPage } from '../ui/page.js';
import { Problem } from '../ui/problem.js';
import { useTitle } from '../ui/use-title.js';

export function NotFoundPage() {
  useTitle('Page not found');
  return (
    <CardPage title="There is no such page" actions={<LinkButton to="/remote-cli">Go to your CLIs</LinkButton>}>
      <p>The address may be mistyped, or from another version of Airlock.</p>
    </CardPage>
  );
}

export function ErrorPage({ error }: { error: unknown }) {
  const router = useRouter();
  useTitle('Something went wrong');
  return (
    <CardPage
      title="This page could not be loaded"
      actions={<Button onClick={() => void router.invalidate()}>Try again</Button>}
    >
      <div style={{ marginTop: 16 }}>
        <Problem error={AppError.from(error).toBody()} announce />
      </div>
    </CardPage>
  );
}

export function PendingPage() {
  return (
    <CardPage title="One moment…">
      <p>Asking Airlock.</p>
    </CardPage>
  );
}
