/** The answer of a prompt, as far as it has come, and how it stands. */
import { useEffect, useRef } from 'react';
import { Problem } from '../ui/problem.js';
import { StatusDot } from '../ui/status-dot.js';
import { formatElapsed } from '../ui/time.js';
import { useNow } from '../ui/use-now.js';
import { describeAnswer, type PromptAnswer } from './answer.js';
import styles from './try-it.module.css';

/** For what appears below the question, where a small window does not reach. */
function intoView(element: HTMLElement | null): void {
  element?.scrollIntoView({ block: 'nearest' });
}

export function AnswerView({ answer }: { answer: PromptAnswer }) {
  const { state, text, isCut, error, exitCode } = answer;
  const tone = state === 'running' ? 'busy' : state === 'cancelled' ? 'quiet' : exitCode === 0 ? 'good' : 'bad';
  return (
    <div className={styles.answer} data-testid="prompt-answer" data-state={state}>
      <p className={styles.status} ref={intoView}>
        <StatusDot tone={tone} />
        <output>{describeAnswer(answer)}</output>
        <Elapsed answer={answer} />
      </p>
      {isCut && <p className={styles.cut}>The beginning of this long answer is left out.</p>}
      {text !== '' && (
        <div ref={intoView}>
          <Text text={text} />
        </div>
      )}
      {error !== null && (
        <div ref={intoView}>
          <Problem error={error} announce />
        </div>
      )}
    </div>
  );
}

function Elapsed({ answer: { state, startedAt, endedAt } }: { answer: PromptAnswer }) {
  const now = useNow(state === 'running');
  return <span className={styles.elapsed}>{formatElapsed((endedAt ?? now) - startedAt)}</span>;
}

/** Stays at the end while the answer grows, unless the person has scrolled up to read. */
function Text({ text }: { text: string }) {
  const box = useRef<HTMLPreElement>(null);
  const follows = useRef(true);
  useEffect(() => {
    if (follows.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  });
  const onScroll = (): void => {
    const { scrollTop = 0, clientHeight = 0, scrollHeight = 0 } = box.current ?? {};
    follows.current = scrollTop + clientHeight > scrollHeight - 24;
  };
  return (
    <pre className={styles.text} ref={box} onScroll={onScroll} aria-label="Answer" data-testid="prompt-text">
      {text}
    </pre>
  );
}
