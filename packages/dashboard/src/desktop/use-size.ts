/** Gives the desktop the size that the person chose, when it is shown first and whenever the place for it changes. */
import { AppError } from '@airlock/contract/errors';
import { useEffect, useRef, useState } from 'react';
import { useApi } from '../api/api-context.js';
import { keepChoice, keptChoice, sizeFor, type SizeChoice } from './size.js';

/** Milliseconds that the place keeps its size before the desktop follows. */
const settledMs = 300;

interface SizeOptions {
  vmId: string;
  /** The element that the desktop is shown in. */
  place: HTMLElement | null;
  isConnected: boolean;
  /** The person chose a size, and the desktop does not take it. */
  onProblem(problem: AppError): void;
}

export function useSize({ vmId, place, isConnected, onProblem }: SizeOptions) {
  const api = useApi();
  const [choice, setChoice] = useState<SizeChoice>(keptChoice);
  /** As it was asked for last: who only connects again changes nothing. */
  const given = useRef('');
  /** Only then is a refusal told: an old desktop takes no size, which is no news to anybody who did not ask. */
  const chosen = useRef(false);

  useEffect(() => {
    if (place === null || !isConnected) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const follow = async (): Promise<void> => {
      const { width, height } = place.getBoundingClientRect();
      if (width === 0 || height === 0 || document.hidden) return;
      const size = sizeFor(choice, { width, height });
      const name = `${size.width}x${size.height}`;
      if (name === given.current) return;
      given.current = name;
      await api.sizeDesktop(vmId, size).catch((error: unknown) => {
        given.current = '';
        if (chosen.current) onProblem(AppError.from(error));
      });
    };
    const settle = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => void follow(), settledMs);
    };
    void follow();
    const observer = new ResizeObserver(settle);
    observer.observe(place);
    document.addEventListener('visibilitychange', settle);
    return () => {
      clearTimeout(timer);
      observer.disconnect();
      document.removeEventListener('visibilitychange', settle);
    };
  }, [api, vmId, place, isConnected, choice, onProblem]);

  return {
    choice,
    choose(next: SizeChoice) {
      chosen.current = true;
      keepChoice(next);
      setChoice(next);
    },
  };
}
