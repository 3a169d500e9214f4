/** Lines in a terminal that takes no input. */
import { Terminal } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';
import { useEffect, useRef } from 'react';
import styles from './desktop.module.css';

/** Rows at least: that of a terminal which has only begun. */
const leastRows = 12;

export function TerminalView({ columns, lines }: { columns: number; lines: readonly string[] }) {
  const element = useRef<HTMLDivElement>(null);
  const terminal = useRef<Terminal>(null);
  useEffect(() => {
    if (element.current === null) return;
    const opened = new Terminal({
      disableStdin: true,
      screenReaderMode: true,
      cursorInactiveStyle: 'none',
      fontFamily: getComputedStyle(element.current).fontFamily,
      fontSize: 12,
      theme: { background: '#0b0f10', foreground: '#dfe7e8' },
    });
    opened.open(element.current);
    // It would keep Tab and Escape for itself.
    opened.attachCustomKeyEventHandler(() => false);
    terminal.current = opened;
    return () => opened.dispose();
  }, []);
  const text = lines.join('\r\n');
  const rows = Math.max(leastRows, lines.length);
  useEffect(() => {
    terminal.current?.resize(columns, rows);
    terminal.current?.reset();
    terminal.current?.write(text);
  }, [columns, rows, text]);
  return <div ref={element} className={styles.terminal} data-testid="login-terminal" />;
}
