/** What a person sees on the desktop. */
import type { Check } from './shell.js';
import { unitPath } from './units.js';

/** The screen, what starts on it, and letters for what is read there. */
export function desktopChecks(): Check[] {
  return [
    { name: 'the screen is never blanked', script: `grep -E '^ExecStart=.* -s 0 .*-dpms' ${unitPath('airlock-xvfb')}` },
    {
      name: 'xterm starts through autostart',
      script: `grep -x 'Exec=/usr/bin/xterm.*' /etc/xdg/autostart/xterm.desktop`,
    },
    ...Object.entries({ Latin: 'fr', Greek: 'el', Cyrillic: 'ru', Chinese: 'zh-cn', Japanese: 'ja', Korean: 'ko' }).map(
      ([script, lang]) => ({ name: `there is a font for ${script}`, script: `fc-list ':lang=${lang}' | grep .` }),
    ),
    { name: 'there is a font for emoji', script: `fc-list ':charset=1f600' | grep -i emoji` },
    {
      name: 'the locale is C.UTF-8',
      script: `grep -x LANG=C.UTF-8 /etc/locale.conf && locale -a | grep -i '^C.utf8$'`,
    },
  ];
}
