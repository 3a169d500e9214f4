/** The person's keyboard at the desktop: pastes, letters of other scripts, input methods, and the way out. */
import { useEffect, type RefObject } from 'react';
import { watchPersonKeys } from './person-keys.js';
import type { useNotice } from './use-notice.js';
import type { Viewer } from './viewer.js';

interface Parts {
  /** See `watchPersonKeys`. */
  screen: HTMLElement | null;
  catcher: RefObject<HTMLTextAreaElement | null>;
  viewer: Viewer | null;
  say: ReturnType<typeof useNotice>;
  /** Puts the keyboard before the desktop. */
  onLeave: () => void;
}

const methodHint =
  'Your keyboard’s input method is on: on the desktop its keys are plain letters. Text that you wrote elsewhere can be pasted.';

export function usePersonKeys({ screen, catcher, viewer, say: { say, sayProblem, clear }, onLeave }: Parts): void {
  useEffect(() => {
    if (screen === null || catcher.current === null || viewer === null) return;
    const { queue, focus } = viewer;
    let hinted = false;
    return watchPersonKeys(
      { screen, catcher: catcher.current, queue, focus },
      {
        onLeave,
        async onPaste(text) {
          if (text === '') return say('There is no text on your clipboard.', 'problem');
          const { problem } = await queue.paste(text, false);
          if (problem === null) clear();
          else sayProblem(problem);
        },
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
  }, [screen, catcher, viewer, say, sayProblem, clear, onLeave]);
}
