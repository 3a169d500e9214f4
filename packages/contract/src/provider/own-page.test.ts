import { expect, it } from 'vitest';
import { isOwnPage } from './own-page.js';

const login = { hosts: ['auth.openai.com', 'chatgpt.com'] } as const;

it.each(['https://auth.openai.com/codex/device', 'https://chatgpt.com/?a=b#c', 'https://auth.openai.com:443/x'])(
  'a page of the provider is shown: %s',
  (address) => expect(isOwnPage(login, address)).toBe(true),
);

it.each([
  'http://auth.openai.com/codex/device',
  'javascript:alert(1)//https://auth.openai.com/',
  'data:text/html,https://auth.openai.com/',
  'https://auth.openai.com.evil.example/',
  'https://auth.openai.com@evil.example/',
  'https://user@auth.openai.com/',
  'https://auth.openai.com:8443/',
  'https://evil.example/?https://auth.openai.com/',
  'https://auth.openai.com/\u202emoc.live',
  'https://auth.openai.com/ x',
  'https://аuth.openai.com/',
  'https://127.0.0.1/',
  'auth.openai.com',
  '',
])('another address is no link: %s', (address) => expect(isOwnPage(login, address)).toBe(false));
