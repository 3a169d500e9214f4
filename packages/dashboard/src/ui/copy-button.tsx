/** Copies a text; says so for a moment. Where the page may not use the clipboard, the text beside it can be selected. */
import { Button } from '@mantine/core';
import { useState } from 'react';

const shownMs = 2000;

/** `what` completes "Copy …" for those who do not see what it stands beside. */
export function CopyButton({ text, what }: { text: string; what: string }) {
  const [state, setState] = useState<'idle' | 'copied' | 'refused'>('idle');
  const show = (next: 'copied' | 'refused') => {
    setState(next);
    setTimeout(() => setState('idle'), shownMs);
  };
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => show('copied'),
      () => show('refused'),
    );
  return (
    <Button size="compact-xs" variant="default" onClick={() => void copy()} aria-label={`Copy ${what}`}>
      {{ idle: 'Copy', copied: 'Copied', refused: 'Select it by hand' }[state]}
    </Button>
  );
}
