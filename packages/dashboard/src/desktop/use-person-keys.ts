/** The person's keyboard at the desktop: pastes, letters of other scripts, input methods, and the way out. */
import { useCallback, useEffect, type RefObject } from 'react';
import { watchPersonKeys } from './person-keys.js';
import type { useNotice } from './use-notice.js';
import type { Viewer } from './viewer.js';

type Says = ReturnType<typeof useNotice>;

interface Parts {
  /** See `watchPersonKeys`. */
  screen: HTMLElement | null;
  catcher: RefObject<HTMLTextAreaElement | null>;
  viewer: Viewer | null;
  says: Says;
  /** See `usePaste`. */
  onPaste: (text: string) => Promise<void>;
  /** Puts the keyboard before the desktop. */
  onLeave: () => void;
}

const methodHint =
  'Your keyboard’s input method is on: on the desktop its keys are plain letters. Text that you wrote elsewhere can be pasted.';

/** Pastes a text of the person's clipboard into the desktop, and says what comes of it. */
export function usePaste(viewer: Viewer | null, { say, sayProblem, clear }: Says): (text: string) => Promise<void> {
  return useCallback(
    async (text) => {
      if (text === '') return say('There is no text on your clipboard.', 'problem');
      const pasted = await viewer?.queue.paste(text, 'paste');
      if (pasted?.problem) sayProblem(pasted.problem);
      else clear();
    },
    [viewer, say, sayProblem, clear],
  );
}

export function usePersonKeys({ screen, catcher, viewer, says, onPaste, onLeave }: Parts): void {
  const { say, sayProblem } = says;
  useEffect(() => {
    if (screen === null || catcher.current === null || viewer === null) return;
    const { queue, focus } = viewer;
    let hinted = false;
    return watchPersonKeys(
      { screen, catcher: catcher.current, queue, focus },
      {
        onLeave,
        onPaste,
        async onType(text) {
          const { problem } = await queue.type(text);
          if (problem !== null) sayProblem(problem);
        },
        onInputMethod() {
          if (!hinted) say(methodHint);
          hinted = true;
        },
      },
    );
  }, [screen, catcher, viewer, say, sayProblem, onPaste, onLeave]);
}
