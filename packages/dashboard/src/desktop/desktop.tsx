/** The desktop of a VM, to see and to use, with the tools above it. */
import { useCallback, useRef, useState, type KeyboardEvent } from 'react';
import { CopiedText } from './copied-text.js';
import styles from './desktop.module.css';
import { characterKeysym, isTypable, type Stroke } from './keys.js';
import { LoginTerminal } from './login-terminal.js';
import { Tools } from './tools.js';
import { TypeThis } from './type-this.js';
import { useNotice } from './use-notice.js';
import { usePaste, usePersonKeys } from './use-person-keys.js';
import { useSize } from './use-size.js';
import { useViewer } from './use-viewer.js';
import type { Viewer, ViewerState } from './viewer.js';

/** What lies over the desktop. */
export type Panel = { name: 'type' } | { name: 'terminal' } | { name: 'copied'; text: string };

export function Desktop({ vmId, sessionId }: { vmId: string; sessionId: string }) {
  const { ref, viewer, state } = useViewer(vmId);
  const says = useNotice();
  const [panel, setPanel] = useState<Panel | null>(null);
  const [screen, setScreen] = useState<HTMLElement | null>(null);
  const [hands, setHands] = useState<HTMLElement | null>(null);
  const tools = useRef<HTMLElement>(null);
  const catcher = useRef<HTMLTextAreaElement>(null);
  const onLeave = useCallback(() => firstShown(tools.current)?.focus(), []);
  const onPaste = usePaste(viewer, says);
  usePersonKeys({ screen: hands, catcher, viewer, says, onPaste, onLeave });
  const isConnected = state.name === 'connected' || state.name === 'silent';
  const size = useSize({ vmId, place: screen, isConnected, onProblem: says.sayProblem });

  const close = () => {
    setPanel(null);
    viewer?.focus();
  };
  const stroke = async (one: Stroke) => {
    const problem = 'text' in one ? (await viewer?.queue.type(one.text))?.problem : viewer?.queue.press(one.keysym);
    if (problem) says.sayProblem(problem);
  };
  const typeSecret = async (text: string) => {
    close();
    const problem = viewer === null ? null : await typeByKeys(viewer, text);
    if (problem === null) says.say('It was typed on the desktop.');
    else says.sayProblem(problem);
  };
  return (
    <div className={styles.desktop}>
      <Tools
        ref={tools}
        {...{ vmId, viewer, says, panel, size }}
        onPanel={setPanel}
        onStroke={(one) => void stroke(one)}
        onPaste={(text) => void onPaste(text)}
      />
      <div
        ref={setScreen}
        className={styles.screen}
        data-testid="desktop"
        data-state={state.name}
        data-problem={says.notice?.tone === 'problem'}
      >
        {/* Before the desktop, which takes every key: Tab would not come to what is behind it. */}
        {panel !== null && (
          <PanelView panel={panel} sessionId={sessionId} onType={(text) => void typeSecret(text)} onClose={close} />
        )}
        <div ref={setHands} className={styles.hands}>
          <div ref={ref} className={styles.canvas} />
          <textarea ref={catcher} className={styles.unseen} inputMode="none" tabIndex={-1} aria-label="Pasted text" />
        </div>
        <Veil state={state} />
        <output className={styles.notice} data-tone={says.notice?.tone} data-testid="desktop-notice">
          {says.notice?.text}
        </output>
      </div>
    </div>
  );
}

interface PanelProps {
  panel: Panel;
  sessionId: string;
  onType: (text: string) => void;
  onClose: () => void;
}

function PanelView({ panel, sessionId, onType, onClose }: PanelProps) {
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Escape') onClose();
  };
  return (
    <dialog
      open
      className={styles.panel}
      data-name={panel.name}
      aria-label={panelNames[panel.name]}
      onKeyDown={onKeyDown}
    >
      {panel.name === 'type' && <TypeThis onType={onType} onClose={onClose} />}
      {panel.name === 'copied' && <CopiedText text={panel.text} onClose={onClose} />}
      {panel.name === 'terminal' && <LoginTerminal sessionId={sessionId} onClose={onClose} />}
    </dialog>
  );
}

const panelNames = { type: 'Type this', terminal: 'CLI output', copied: 'Copied text' } as const;

const firstShown = (within: HTMLElement | null): HTMLElement | undefined =>
  [...(within?.querySelectorAll('button') ?? [])].find(({ offsetParent }) => offsetParent !== null);

/** By keys of the desktop's keyboard, which is given what it lacks: the text is in no clipboard at all. */
async function typeByKeys({ queue }: Viewer, text: string) {
  if (!isTypable(text)) return (await queue.paste(text, 'keys')).problem;
  for (const character of text) queue.press(characterKeysym(character) ?? 0);
  return (await queue.reached()).problem;
}

/** Lies over the desktop while it is not connected. */
function Veil({ state }: { state: ViewerState }) {
  return (
    <div className={styles.veil} data-shown={state.name !== 'connected'} data-state={state.name} aria-live="polite">
      {state.name === 'connecting' && <p>Connecting to the desktop…</p>}
      {state.name === 'silent' && (
        <p>
          Airlock does not answer. <span>What you see may be old; what you type may arrive late.</span>
        </p>
      )}
      {state.name === 'retrying' && (
        <p>
          {state.reason ?? 'The connection to the desktop dropped.'} <span>Trying again…</span>
        </p>
      )}
    </div>
  );
}
