import { describe, expect, it } from 'vitest';
import { whyNoUpstream } from './upstream.js';

describe('an upstream proxy', () => {
  it.each([
    'http://proxy.example:8080',
    'http://Proxy.Example:8080/',
    'http://proxy.example',
    'http://10.0.0.1:3128',
    'http://[2001:db8::1]:3128',
    'http://joe@proxy.example:1',
    'http://joe:@proxy.example:1',
    'http://CORP%5Cjoe:pw@proxy.example:1',
    'http://joe:p%40%3A%25%C3%BC@proxy.example:1',
    // A parser escapes these, and what is sent is what stands here.
    'http://joe:a:b|{}<>^`"ü @proxy.example:1',
  ])('is written so: %s', (url) => {
    expect(whyNoUpstream(url)).toBe(null);
  });

  it.each([
    [String.raw`http://CORP\joe:pw@proxy`, /\\ as %5C/],
    [String.raw`http://joe:p\w@proxy`, /\\ as %5C/],
    ['http://joe:p/w@proxy', /\/ as %2F/],
    ['http://joe:p?w@proxy', /percent-encode/],
    ['http://joe:p#w@proxy', /percent-encode/],
    ['http://joe:p@ss@proxy', null],
    ['http://joe:p\tw@proxy', /control character/],
    ['http://joe:p%0aw@proxy', /control character/],
    ['http://joe:100%@proxy', /% in the user name or password.*% as %25/],
    ['http://j%zz:pw@proxy', /% in the user name or password/],
    ['http://joe:%ff@proxy', /% in the user name or password/],
    ['http://us%3Aer:pw@proxy', /a user name with a colon/],
    ['http://:pw@proxy', /without a user name/],
    ['http://0x7f.1:80', /read as another one/],
    ['http://127.1:80', /read as another one/],
    ['http://%70roxy:80', /read as another one/],
    ['http://bücher.example:80', /read as another one/],
    ['http://[2001:0db8::1]:80', /read as another one/],
    ['http://proxy:0', /from 1 to 65535/],
    ['http://proxy:0080', /from 1 to 65535/],
    ['http://proxy:65536', /expected http/],
    ['http://proxy:', /expected http/],
    ['http://proxy:80/path', /nothing behind it/],
    ['http://proxy:80?x=1', /nothing behind it/],
    [' http://proxy:80', /expected http/],
    ['http:proxy:80', /expected http/],
    ['https://proxy:80', /expected http/],
    ['socks5://proxy:80', /expected http/],
  ])('is not: %s', (url, why) => {
    // One @ more is what every parser reads in the same way: the last one ends the password.
    if (why === null) expect(whyNoUpstream(url)).toBe(null);
    else expect(whyNoUpstream(url)).toMatch(why);
  });

  it('is not shown by what is said about it', () => {
    for (const url of [
      String.raw`http://hunter2\x:hunter2@hunter2`,
      'http://a:hunter2%@h',
      'http://a:b@HUNTER2.1',
      'x://hunter2',
    ])
      expect(whyNoUpstream(url) ?? '').not.toMatch(/hunter2/i);
  });
});
