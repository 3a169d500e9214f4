/** What was copied in the desktop, to be copied by hand: the browser did not let the page. */
import { Button } from '@mantine/core';
import { useEffect, useId, useRef } from 'react';
import { CopyButton } from '../ui/copy-button.js';
import fields from '../ui/field.module.css';
import styles from './desktop.module.css';

export function CopiedText({ text, onClose }: { text: string; onClose: () => void }) {
  const field = useRef<HTMLTextAreaElement>(null);
  const id = useId();
  useEffect(() => {
    field.current?.focus();
    field.current?.select();
  }, []);
  return (
    <>
      <label className={styles.label} htmlFor={id}>
        Copied on the desktop
      </label>
      <textarea ref={field} id={id} className={fields.field} rows={4} readOnly value={text} data-testid="copied-text" />
      <div className={styles.actions}>
        <CopyButton text={text} what="the text" size="xs" />
        <Button size="xs" variant="default" onClick={onClose}>
          Close
        </Button>
      </div>
      <p className={styles.note}>
        Your browser did not let this page copy it. Press Copy, or take the text from the field.
      </p>
    </>
  );
}
