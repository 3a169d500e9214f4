/** What a person can do with the desktop besides using it by mouse and keyboard. */
import { AppError } from '@airlock/contract/errors';
import { useState, type Ref } from 'react';
import { useApi } from '../api/api-context.js';
import { copyText } from '../ui/copy.js';
import styles from './desktop.module.css';
import type { Panel } from './desktop.js';
import type { Stroke } from './keys.js';
import { isApple, leaveKeys } from './person-keys.js';
import { sizeChoices, type SizeChoice } from './size.js';
import { SoftKeyboard } from './soft-keyboard.js';
import type { useNotice } from './use-notice.js';
import type { useSize } from './use-size.js';
import type { Viewer } from './viewer.js';

interface ToolsProps {
  ref: Ref<HTMLElement>;
  vmId: string;
  viewer: Viewer | null;
  says: ReturnType<typeof useNotice>;
  panel: Panel | null;
  size: ReturnType<typeof useSize>;
  onPanel: (panel: Panel | null) => void;
  onStroke: (stroke: Stroke) => void;
  onPaste: (text: string) => void;
}

export function Tools({ ref, vmId, viewer, says, panel, size, onPanel, onStroke, onPaste }: ToolsProps) {
  const toggle = (name: 'type' | 'terminal') => onPanel(panel?.name === name ? null : { name });
  return (
    <nav ref={ref} className={styles.tools} aria-label="Tools of the desktop">
      <SoftKeyboard onStroke={onStroke} onPaste={onPaste} />
      <button
        type="button"
        className={styles.tool}
        aria-expanded={panel?.name === 'type'}
        onClick={() => toggle('type')}
        title="For passwords: a masked field, whose text is typed on the desktop"
        data-testid="type-this"
      >
        Type this…
      </button>
      <CopyOut vmId={vmId} says={says} onText={(text) => onPanel({ name: 'copied', text })} />
      <button
        type="button"
        className={styles.tool}
        aria-expanded={panel?.name === 'terminal'}
        onClick={() => toggle('terminal')}
        title="What the CLI says in its terminal"
        data-testid="show-terminal"
      >
        CLI output
      </button>
      <Zoom viewer={viewer} />
      <SizeField {...size} />
      <p className={styles.hint}>
        <kbd>{isApple() ? '⌘V' : 'Ctrl+V'}</kbd> pastes into the desktop, <kbd>{leaveKeys}</kbd> takes the keyboard out
        of it
      </p>
    </nav>
  );
}

interface CopyOutProps {
  vmId: string;
  says: ReturnType<typeof useNotice>;
  /** The browser does not let the page copy this. */
  onText: (text: string) => void;
}

function CopyOut({ vmId, says, onText }: CopyOutProps) {
  const api = useApi();
  const copy = async () => {
    says.clear();
    const text = await api.copiedInDesktop(vmId);
    if (text === null || text === '') says.say(`Nothing has been copied on the desktop yet. ${howToCopy()}`, 'problem');
    else if (await copyText(text)) {
      says.say(`On your own clipboard now: ${count(text.length)} that you copied on the desktop.`);
    } else onText(text);
  };
  return (
    <button
      type="button"
      className={styles.tool}
      onClick={() => void copy().catch((error: unknown) => says.sayProblem(AppError.from(error)))}
      title="What you copied on the desktop, to your own clipboard"
      data-testid="copy-out"
    >
      Copy out
    </button>
  );
}

/** A long press is the right button there. */
const howToCopy = (): string =>
  matchMedia('(pointer: coarse)').matches
    ? 'Select a text there, press long on it, and choose Copy.'
    : `Select a text there, and press ${isApple() ? '⌘C' : 'Ctrl+C'}.`;

const count = (characters: number): string =>
  characters === 1 ? 'one character' : `${characters.toLocaleString('en')} characters`;

function Zoom({ viewer }: { viewer: Viewer | null }) {
  const [zoomed, setZoomed] = useState(false);
  const zoom = () => {
    viewer?.setZoomed(!zoomed);
    setZoomed(!zoomed);
  };
  return (
    <span className={styles.touch}>
      <button type="button" className={styles.tool} aria-pressed={zoomed} onClick={zoom} data-testid="zoom">
        {zoomed ? 'Show all' : 'Zoom in'}
      </button>
    </span>
  );
}

function SizeField({ choice, choose }: ReturnType<typeof useSize>) {
  return (
    <label className={styles.size}>
      <span>Size</span>
      <select
        className={styles.tool}
        value={choice}
        onChange={(event) => choose(event.target.value as SizeChoice)}
        data-testid="desktop-size"
      >
        {Object.entries(sizeChoices).map(([name, words]) => (
          <option key={name} value={name}>
            {words}
          </option>
        ))}
      </select>
    </label>
  );
}
