/** One short word to the person about what they just did at the desktop; it goes by itself. */
import type { AppError } from '@airlock/contract/errors';
import { useCallback, useEffect, useState } from 'react';

export interface Notice {
  text: string;
  tone: 'done' | 'problem';
}

/** Milliseconds; long enough to be read twice. */
const shownMs = 12_000;

export function useNotice() {
  const [notice, setNotice] = useState<Notice | null>(null);
  useEffect(() => {
    if (notice === null) return;
    const timer = setTimeout(() => setNotice(null), shownMs);
    return () => clearTimeout(timer);
  }, [notice]);
  const say = useCallback((text: string, tone: Notice['tone'] = 'done') => setNotice({ text, tone }), []);
  const sayProblem = useCallback(
    ({ message, hint }: AppError) => setNotice({ text: `${message} ${hint}`.trim(), tone: 'problem' }),
    [],
  );
  const clear = useCallback(() => setNotice(null), []);
  return { notice, say, sayProblem, clear };
}
