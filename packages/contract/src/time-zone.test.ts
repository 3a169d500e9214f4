import { expect, it } from 'vitest';
import { timeZones, whyNoTimeZone } from './time-zone.js';

it('knows each zone of the image once', () => {
  expect(new Set(timeZones).size).toBe(timeZones.length);
  for (const zone of ['Etc/UTC', 'UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires', 'Etc/GMT+12'])
    expect(whyNoTimeZone(zone)).toBe(null);
});

it.each([
  ['US/Eastern', /did you mean .*America\/New_York/],
  ['Asia/Calcutta', /did you mean Asia\/Kolkata\?/],
  ['Europe/Kiev', /did you mean .*Europe\/Kyiv/],
  ['europe/berlin', /did you mean .*Europe\/Berlin/],
  ['utc', /did you mean UTC\?/],
  ['Europe/Berln', /did you mean Europe\/Berlin/],
  ['Germany/Berlin', /did you mean Europe\/Berlin/],
  ['Mars/X', /such as Europe\/Berlin$/],
  ['', /such as Europe\/Berlin$/],
  ['localtime', /such as/],
  ['../../etc/passwd', /such as/],
])('says of %s what may be meant', (name, why) => {
  expect(whyNoTimeZone(name)).toMatch(why);
});
