/** The desktop of a VM, to see and to use. */
import { useState } from 'react';
import styles from './desktop.module.css';
import { SoftKeyboard } from './soft-keyboard.js';
import { useViewer } from './use-viewer.js';
import type { ViewerState } from './viewer.js';

export function Desktop({ vmId }: { vmId: string }) {
  const { ref, viewer, state } = useViewer(vmId);
  const [zoomed, setZoomed] = useState(false);
  const zoom = () => {
    viewer?.setZoomed(!zoomed);
    setZoomed(!zoomed);
  };
  return (
    <div className={styles.desktop}>
      <div
        className={styles.screen}
        data-testid="desktop"
        data-state={state.name}
        data-zoomed={zoomed}
        role="application"
        aria-label="Desktop of the private computer: what you type and click here happens there"
      >
        <div ref={ref} className={styles.canvas} />
        <Veil state={state} />
      </div>
      <div className={styles.tools}>
        <SoftKeyboard onKey={(keysym) => viewer?.sendKey(keysym)} />
        <button type="button" className={styles.tool} aria-pressed={zoomed} onClick={zoom} data-testid="zoom">
          {zoomed ? 'Show all' : 'Zoom in'}
        </button>
        <p className={styles.hint}>
          {zoomed
            ? 'Drag to move the picture, tap to click.'
            : 'This works best on a larger screen. Tap to click, hold for a right click.'}
        </p>
      </div>
    </div>
  );
}

/** Lies over the desktop while it is not connected. */
function Veil({ state }: { state: ViewerState }) {
  return (
    <div className={styles.veil} data-shown={state.name !== 'connected'} aria-live="polite">
      {state.name === 'connecting' && <p>Connecting to the desktop…</p>}
      {state.name === 'retrying' && (
        <p>
          {state.reason ?? 'The connection to the desktop dropped.'} <span>Trying again…</span>
        </p>
      )}
    </div>
  );
}
