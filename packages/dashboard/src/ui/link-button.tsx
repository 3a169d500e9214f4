/** A button that is a link of the router, so that it can be opened in a new tab. */
import { Button, type ButtonProps } from '@mantine/core';
import { createLink } from '@tanstack/react-router';
import type { AnchorHTMLAttributes, Ref } from 'react';

type AnchorProps = Omit<AnchorHTMLAttributes<HTMLAnchorElement>, keyof ButtonProps>;

function ButtonAnchor({ ref, ...props }: ButtonProps & AnchorProps & { ref?: Ref<HTMLAnchorElement> }) {
  return <Button {...props} component="a" ref={ref} />;
}

export const LinkButton = createLink(ButtonAnchor);
