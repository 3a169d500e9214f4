/** Opens a phone's on-screen keyboard, and passes what is typed on to the desktop. */
import { useRef, type KeyboardEvent } from 'react';
import styles from './desktop.module.css';
import { keysBetween, namedKeysym } from './typing.js';

/** Something to delete, so that the keyboard reports Backspace even before anything was typed. */
const filler = '_'.repeat(64);

export function SoftKeyboard({ onKey }: { onKey: (keysym: number) => void }) {
  const field = useRef<HTMLTextAreaElement>(null);
  const known = useRef(filler);

  const reset = () => {
    known.current = filler;
    if (field.current === null) return;
    field.current.value = filler;
    field.current.setSelectionRange(filler.length, filler.length);
  };
  const onInput = (value: string) => {
    for (const keysym of keysBetween(known.current, value)) onKey(keysym);
    known.current = value;
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const keysym = event.nativeEvent.isComposing ? null : namedKeysym(event.key);
    if (keysym === null) return;
    event.preventDefault();
    reset();
    onKey(keysym);
  };

  return (
    <>
      <button
        type="button"
        className={styles.tool}
        onClick={() => (reset(), field.current?.focus())}
        data-testid="keyboard"
      >
        Keyboard
      </button>
      <textarea
        ref={field}
        className={styles.typing}
        defaultValue={filler}
        aria-label="Type here to type on the desktop"
        tabIndex={-1}
        autoCapitalize="none"
        autoCorrect="off"
        autoComplete="off"
        spellCheck={false}
        onInput={(event) => onInput(event.currentTarget.value)}
        onKeyDown={onKeyDown}
        onBlur={reset}
      />
    </>
  );
}
