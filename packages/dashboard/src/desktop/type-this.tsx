/** "Type this": a masked field whose text is typed into the desktop, for passwords. It is in no state, no storage and no form. */
import { Button } from '@mantine/core';
import {
  useEffect,
  useId,
  useRef,
  type FocusEvent,
  type KeyboardEvent,
  type RefObject,
  type SyntheticEvent,
} from 'react';
import fields from '../ui/field.module.css';
import styles from './desktop.module.css';

/** `onType` is given the text, which is gone from here by then. */
export function TypeThis({ onType, onClose }: { onType: (text: string) => void; onClose: () => void }) {
  const field = useRef<HTMLInputElement>(null);
  const id = useId();
  const take = (): string => {
    const text = field.current?.value ?? '';
    if (field.current !== null) field.current.value = '';
    return text;
  };
  const type = () => {
    const text = take();
    if (text === '') field.current?.focus();
    else onType(text);
  };
  const onBlur = ({ currentTarget, relatedTarget }: FocusEvent) => {
    if (!currentTarget.contains(relatedTarget)) take();
  };
  return (
    <div onBlur={onBlur}>
      <label className={styles.label} htmlFor={id}>
        Type this on the desktop
      </label>
      <div className={fields.row}>
        <SecretField id={id} field={field} onEnter={type} />
        {/* A button that took the keyboard from the field would have it cleared. */}
        <Button size="sm" onPointerDown={keepFocus} onMouseDown={keepFocus} onClick={type}>
          Type it
        </Button>
        <Button size="sm" variant="default" onClick={onClose}>
          Close
        </Button>
      </div>
      <p id={`${id}-note`} className={styles.note}>
        Choose the field on the desktop first. What you write or paste here is typed there; it is hidden, and this page
        keeps it nowhere.
      </p>
    </div>
  );
}

const keepFocus = (event: SyntheticEvent): void => event.preventDefault();

interface SecretFieldProps {
  id: string;
  field: RefObject<HTMLInputElement | null>;
  onEnter: () => void;
}

function SecretField({ id, field, onEnter }: SecretFieldProps) {
  useEffect(() => {
    const input = field.current;
    input?.focus();
    return () => {
      if (input !== null) input.value = '';
    };
  }, [field]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Enter') onEnter();
  };
  return (
    <input
      ref={field}
      id={id}
      className={fields.field}
      type="password"
      autoComplete="off"
      autoCapitalize="none"
      autoCorrect="off"
      spellCheck={false}
      data-1p-ignore=""
      data-lpignore="true"
      data-bwignore=""
      data-form-type="other"
      onKeyDown={onKeyDown}
      aria-describedby={`${id}-note`}
      data-testid="type-this-text"
    />
  );
}
