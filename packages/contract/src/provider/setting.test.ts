import { describe, expect, it } from 'vitest';
import { providers } from './registry.js';
import { checkedSettings } from './setting.js';

const gemini = providers.gemini_cli;

describe('a Google Cloud project', () => {
  it.each(['my-project-123', 'abcdef', 'example.com:my-project', `a${'b'.repeat(29)}`])('is %s', (project) => {
    expect(checkedSettings(gemini, { project })).toMatchObject([{ value: project, setting: { name: 'project' } }]);
  });

  it.each([
    '',
    '123456789012',
    'short',
    'My-Project',
    'ends-with-',
    `a${'b'.repeat(30)}`,
    'my-project\nGEMINI_API_KEY=x',
    ' my-project',
    'my project',
  ])('is never %j', (project) => {
    expect(() => checkedSettings(gemini, { project })).toThrow(
      expect.objectContaining({
        code: 'invalid_request',
        message: 'What was given for project is no Google Cloud project.',
      }),
    );
  });
});

it('knows no other name, and none where the provider has none', () => {
  expect(() => checkedSettings(gemini, { PATH: 'abcdef' })).toThrow(/known: project\./);
  expect(() => checkedSettings(providers.codex, { project: 'abcdef' })).toThrow(/known: none\./);
});

it('is a variable of a credential file, which leaves the VM with the login', () => {
  for (const { login } of Object.values(providers))
    for (const { file, variable } of login?.settings ?? []) {
      const rule = login?.credentialFiles.find(({ path }) => path === file);
      expect(rule).toMatchObject({ delivery: 'variables', variables: expect.arrayContaining([variable]) as string[] });
    }
});
