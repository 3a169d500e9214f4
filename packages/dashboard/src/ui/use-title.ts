/** The browser tab's title. */
import { useEffect } from 'react';

/** Shows `<title> · Airlock` while the component is mounted. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · Airlock`;
  }, [title]);
}
