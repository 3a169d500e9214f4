/** Frames of pages: a page with a heading, and a single card in the middle of the window. */
import type { ReactNode } from 'react';
import { Brand } from './brand.js';
import styles from './page.module.css';

/** A page below the header. */
export function Page({ title, lead, children }: { title: string; lead: ReactNode; children: ReactNode }) {
  return (
    <main className={styles.page}>
      <div className={styles.head}>
        <h1>{title}</h1>
        <p className={styles.lead}>{lead}</p>
      </div>
      {children}
    </main>
  );
}

/** A page that says one thing. `actions` are the buttons below it. */
export function CardPage({ title, children, actions }: { title: string; children?: ReactNode; actions?: ReactNode }) {
  return (
    <main className={styles.centre}>
      <section className={styles.card}>
        <Brand />
        <h1>{title}</h1>
        {children}
        {actions && <div className={styles.actions}>{actions}</div>}
      </section>
    </main>
  );
}
