/** "Try it": sends one prompt to a connected CLI in the person's CLI VM, and shows the answer as it comes. */
import type { Provider } from '@airlock/contract/provider/provider';
import { providers } from '@airlock/contract/provider/registry';
import { Button } from '@mantine/core';
import { useId, useState, type FormEvent } from 'react';
import { useCredentials } from '../credential/use-credentials.js';
import fields from '../ui/field.module.css';
import { AnswerView } from './answer-view.js';
import styles from './try-it.module.css';
import { usePrompt, type Question } from './use-prompt.js';

/** Nothing as long as no CLI is connected. */
export function TryIt() {
  const connected = (useCredentials().data ?? [])
    .filter((one) => one.state === 'active' && providers[one.provider].prompt !== null)
    .map((one) => providers[one.provider]);
  if (connected.length === 0) return null;
  return <Box connected={connected} />;
}

function Box({ connected }: { connected: Provider[] }) {
  const { answer, ask, cancel } = usePrompt();
  const isRunning = answer?.state === 'running';
  return (
    <section className={styles.box} aria-labelledby="try-it" data-testid="try-it">
      <h2 id="try-it">Try it</h2>
      <p className={styles.lead}>
        Ask a connected CLI something. It runs in your CLI VM, which is started first when it stands still.
      </p>
      <QuestionForm
        connected={connected}
        isRunning={isRunning}
        onAsk={(question) => void ask(question)}
        onCancel={cancel}
      />
      {answer !== null && <AnswerView key={answer.startedAt} answer={answer} />}
    </section>
  );
}

interface QuestionFormProps {
  connected: Provider[];
  isRunning: boolean;
  onAsk: (question: Question) => void;
  onCancel: () => void;
}

const limits = [
  ['', 'As long as Airlock allows'],
  ['60', '1 minute'],
  ['300', '5 minutes'],
] as const;

function QuestionForm({ connected, isRunning, onAsk, onCancel }: QuestionFormProps) {
  const [chosen, setChosen] = useState<string | null>(null);
  const [text, setText] = useState('');
  const [limit, setLimit] = useState('');
  const provider = connected.find(({ id }) => id === chosen) ?? connected[0];
  if (provider === undefined) return null;
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (isRunning || text.trim() === '') return;
    onAsk({ provider, text, ...(limit !== '' && { timeoutS: Number(limit) }) });
  };
  const clis = connected.map(({ id, name }) => [id, name] as const);
  return (
    <form className={styles.form} onSubmit={submit}>
      <PromptField value={text} onChange={setText} />
      <div className={styles.row}>
        <Choice label="CLI" value={provider.id} options={clis} disabled={isRunning} onChange={setChosen} />
        <Choice label="Time limit" value={limit} options={limits} disabled={isRunning} onChange={setLimit} />
        {/* Keys: were it one element, the click that cancels would become one that asks again. */}
        {isRunning ? (
          <Button key="cancel" variant="default" onClick={onCancel} data-testid="prompt-cancel">
            Cancel
          </Button>
        ) : (
          <Button key="ask" type="submit" disabled={text.trim() === ''} data-testid="prompt-ask">
            Ask {provider.name}
          </Button>
        )}
      </div>
    </form>
  );
}

/** Ctrl+Enter sends. */
function PromptField({ value, onChange }: { value: string; onChange: (text: string) => void }) {
  const id = useId();
  return (
    <>
      <label htmlFor={id}>Your prompt</label>
      <textarea
        id={id}
        className={fields.field}
        rows={3}
        maxLength={200_000}
        placeholder="Explain what a symbolic link is, in two sentences."
        value={value}
        onChange={(event) => onChange(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) event.currentTarget.form?.requestSubmit();
        }}
      />
    </>
  );
}

interface ChoiceProps {
  label: string;
  value: string;
  /** Value and words of each. */
  options: readonly (readonly [string, string])[];
  disabled: boolean;
  onChange: (value: string) => void;
}

function Choice({ label, value, options, disabled, onChange }: ChoiceProps) {
  const id = useId();
  return (
    <div>
      <label htmlFor={id}>{label}</label>
      <select
        id={id}
        className={fields.field}
        value={value}
        disabled={disabled}
        onChange={(event) => onChange(event.currentTarget.value)}
      >
        {options.map(([option, words]) => (
          <option key={option} value={option}>
            {words}
          </option>
        ))}
      </select>
    </div>
  );
}
