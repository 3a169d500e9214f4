/** Times and durations as people read them. Durations are in milliseconds, moments ISO 8601. */

/** `7 s`, `1 min 05 s`, `1 h 02 min`. Never negative. */
export function formatElapsed(elapsedMs: number): string {
  const seconds = Math.max(0, Math.floor(elapsedMs / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${twoDigits(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${twoDigits(minutes % 60)} min`;
}

/** `4:05`; `0:00` when the time is up. Rounded up, so that the last second is shown as such. */
export function formatCountdown(remainingMs: number): string {
  const seconds = Math.max(0, Math.ceil(remainingMs / 1000));
  return `${Math.floor(seconds / 60)}:${twoDigits(seconds % 60)}`;
}

/** The time of day for today, otherwise day and time; in the viewer's language and time zone. */
export function formatMoment(iso: string, nowMs: number): string {
  const moment = new Date(iso);
  const today = moment.toDateString() === new Date(nowMs).toDateString();
  return new Intl.DateTimeFormat(undefined, {
    ...(!today && { day: 'numeric', month: 'short' }),
    hour: '2-digit',
    minute: '2-digit',
  }).format(moment);
}

const twoDigits = (value: number): string => String(value).padStart(2, '0');
