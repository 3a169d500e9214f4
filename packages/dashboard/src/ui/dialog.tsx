/** A question or a form above the page. */
import { Modal } from '@mantine/core';
import type { ReactNode } from 'react';

interface DialogProps {
  title: string;
  opened: boolean;
  onClose: () => void;
  children: ReactNode;
}

export function Dialog({ title, opened, onClose, children }: DialogProps) {
  return (
    <Modal.Root opened={opened} onClose={onClose} centered radius={14}>
      <Modal.Overlay />
      <Modal.Content>
        {/* Mantine makes a header of it, which would be one more of the page. */}
        <Modal.Header role="presentation">
          <Modal.Title fw={600} fz={17}>
            {title}
          </Modal.Title>
          <Modal.CloseButton aria-label="Close" />
        </Modal.Header>
        <Modal.Body>{children}</Modal.Body>
      </Modal.Content>
    </Modal.Root>
  );
}
