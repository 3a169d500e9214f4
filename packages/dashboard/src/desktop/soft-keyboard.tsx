/** Opens a phone's on-screen keyboard, and passes what is typed on to the desktop. */
import { useRef, type ClipboardEvent, type KeyboardEvent } from 'react';
import styles from './desktop.module.css';
import { namedKeysym, strokesBetween, type Stroke } from './keys.js';
import { textOf } from './person-keys.js';

/** Something to delete, so that the keyboard reports Backspace even before anything was typed. */
const filler = '_'.repeat(64);

interface SoftKeyboardProps {
  onStroke: (stroke: Stroke) => void;
  /** What is pasted, exactly: its punctuation is no phone's. */
  onPaste: (text: string) => void;
}

export function SoftKeyboard({ onStroke, onPaste }: SoftKeyboardProps) {
  const field = useRef<HTMLTextAreaElement>(null);
  const known = useRef(filler);

  const reset = () => {
    known.current = filler;
    if (field.current === null) return;
    field.current.value = filler;
    field.current.setSelectionRange(filler.length, filler.length);
  };
  const onInput = (value: string) => {
    strokesBetween(known.current, value).forEach(onStroke);
    known.current = value;
  };
  const paste = (event: ClipboardEvent) => {
    event.preventDefault();
    reset();
    onPaste(textOf(event.clipboardData));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const keysym = event.nativeEvent.isComposing ? null : namedKeysym(event.key);
    if (keysym === null) return;
    event.preventDefault();
    reset();
    onStroke({ keysym });
  };

  return (
    <span className={styles.touch}>
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
        className={styles.unseen}
        defaultValue={filler}
        aria-label="Type here to type on the desktop"
        tabIndex={-1}
        autoCapitalize="none"
        autoCorrect="off"
        autoComplete="off"
        spellCheck={false}
        onInput={(event) => onInput(event.currentTarget.value)}
        onKeyDown={onKeyDown}
        onPaste={paste}
        onBlur={reset}
      />
    </span>
  );
}
