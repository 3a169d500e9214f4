import { renderToStaticMarkup } from 'react-dom/server';
import { expect, test } from 'vitest';
import { LoginHelp } from './login-help.js';

const page = renderToStaticMarkup(<LoginHelp />);
const [everybody, operator] = page.split('<details');

test('says to ask for a link, and tells nobody else than the operator to run a command', () => {
  expect(everybody).toContain('Ask whoever runs this Airlock for a login link');
  expect(everybody).not.toMatch(/npx|<code/);
  expect(operator).toContain('I run this Airlock');
  // The whole command as it is selected: nothing in it that a shell takes for a redirection.
  expect(operator).toMatch(/npx airlock login-url<\/code>/);
});
