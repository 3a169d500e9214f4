/** The coding CLIs: the version in the image, the newest one, and whether that still signs in, as the last trial found. */
import type { SystemStatus } from '@airlock/contract/api';
import { serverNowMs } from '../api/clock.js';
import { StatusDot } from '../ui/status-dot.js';
import { formatMoment } from '../ui/time.js';
import styles from './admin.module.css';

type Tried = NonNullable<SystemStatus['canary']>['clis'][number];

const results = {
  yes: { tone: 'good', text: 'yes' },
  no: { tone: 'bad', text: 'no' },
  not_tried: { tone: 'quiet', text: 'not tried' },
} as const satisfies Record<Tried['signsIn'], object>;

export function CliTable({ clis, canary }: Pick<SystemStatus, 'clis' | 'canary'>) {
  const names = new Map(clis.map(({ id, name }) => [id as string, name]));
  const tried = new Map((canary?.clis ?? []).map((one) => [one.id, one]));
  const ids = [...new Set([...names.keys(), ...tried.keys()])];
  if (ids.length === 0) return null;
  return (
    <section className={styles.vms}>
      <h2>Coding CLIs</h2>
      {canary === null && (
        <p className={styles.none}>
          Nobody has tried the newest ones yet. <code>npm run canary</code> does.
        </p>
      )}
      {canary !== null && canary.problem !== null && (
        <div className={styles.lost} role="note">
          <strong>The newest ones could not be tried.</strong> {canary.problem} <code>npm run canary</code> shows the
          reason.
        </div>
      )}
      <div className={styles.scroll}>
        <table aria-label="Coding CLIs">
          <thead>
            <tr>
              <th scope="col">CLI</th>
              <th scope="col">In the image</th>
              <th scope="col">Newest</th>
              <th scope="col">Tried</th>
              <th scope="col">Signs in</th>
            </tr>
          </thead>
          <tbody>
            {ids.map((id) => (
              <tr key={id}>
                <td>{names.get(id) ?? id}</td>
                <td data-label="Image">{clis.find((cli) => cli.id === id)?.version ?? '–'}</td>
                <Trial tried={tried.get(id)} at={canary?.at} />
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

/** The cells of what was found out; dashes where nothing was. */
function Trial({ tried, at }: { tried: Tried | undefined; at: string | undefined }) {
  const result = tried && results[tried.signsIn];
  return (
    <>
      <td data-label="Newest">
        <div>
          {tried?.latest ?? '–'}
          {tried?.keptBack !== null && tried?.keptBack !== undefined && (
            <small className={styles.note}>{tried.keptBack}</small>
          )}
        </div>
      </td>
      <td data-label="Tried">
        {tried?.tried ?? '–'}
        {tried !== undefined && at !== undefined && `, ${formatMoment(at, serverNowMs())}`}
      </td>
      <td data-label="Signs in">
        {result === undefined ? (
          '–'
        ) : (
          <div>
            <span className={styles.state}>
              <StatusDot tone={result.tone} />
              {result.text}
            </span>
            {tried?.failure !== null && tried?.failure !== undefined && (
              <small className={styles.error}>
                <span>{tried.failure}</span>
              </small>
            )}
            {tried !== undefined && tried.leftOut.length > 0 && (
              <small className={styles.note}>Not handed over: {tried.leftOut.join(', ')}</small>
            )}
          </div>
        )}
      </td>
    </>
  );
}
