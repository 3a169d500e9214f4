/** Copies a text; says so for a moment. Where the browser refuses, the text beside it can be selected. */
import { Button } from '@mantine/core';
import { useState } from 'react';
import { copyText } from './copy.js';

const shownMs = 2000;

/** `what` completes "Copy …" for those who do not see what it stands beside. */
export function CopyButton({
  text,
  what,
  size = 'compact-xs',
}: {
  text: string;
  what: string;
  size?: 'xs' | 'compact-xs';
}) {
  const [state, setState] = useState<'idle' | 'copied' | 'refused'>('idle');
  const copy = async () => {
    setState((await copyText(text)) ? 'copied' : 'refused');
    setTimeout(() => setState('idle'), shownMs);
  };
  return (
    <Button size={size} variant="default" onClick={() => void copy()} aria-label={`Copy ${what}`}>
      {{ idle: 'Copy', copied: 'Copied', refused: 'Select it by hand' }[state]}
    </Button>
  );
}
