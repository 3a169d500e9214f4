/** What a person sees on the desktop. */
import type { Check } from './shell.js';
import { unitPath } from './units.js';

const openbox = '/usr/share/airlock/openbox.xml';
/** As Xvfb asks for it. */
const keymap =
  'xkb_keymap { xkb_keycodes { include "evdev+aliases(qwerty)" }; xkb_types { include "complete" }; xkb_compat { include "complete" }; xkb_symbols { include "pc+us+inet(evdev)" }; };';

/** The screen, what starts on it, and letters for what is read there. */
export function desktopChecks(): Check[] {
  return [
    { name: 'the screen is never blanked', script: `grep -E '^ExecStart=.* -s 0 .*-dpms' ${unitPath('airlock-xvfb')}` },
    {
      name: 'the terminal starts through autostart, once',
      script: `test "$(grep -l -r xterm /etc/xdg/autostart)" = /etc/xdg/autostart/terminal.desktop && grep -x 'Exec=/usr/bin/xterm.*' /etc/xdg/autostart/terminal.desktop`,
    },
    ...Object.entries({
      Latin: 'fr',
      Greek: 'el',
      Cyrillic: 'ru',
      Chinese: 'zh-cn',
      Japanese: 'ja',
      Korean: 'ko',
      Hindi: 'hi',
      Bengali: 'bn',
      Tamil: 'ta',
      Telugu: 'te',
      Thai: 'th',
    }).map(([script, lang]) => ({ name: `there is a font for ${script}`, script: `fc-list ':lang=${lang}' | grep .` })),
    {
      name: 'the keyboard has AltGr and dead keys',
      script: `printf '%s' '${keymap}' | xkbcomp -w 0 -xkb - - | grep -F -e ssharp -e dead_diaeresis | grep -c . | grep -x 2`,
    },
    {
      name: 'no key of the desktop is bound but to nothing, and no window can be lost',
      script: `test "$(grep -o '<keybind key="[^"]*"' ${openbox})" = '<keybind key="A-F4"' && ! grep -F '"Iconify"' ${openbox} && grep -F "<animateIconify>no<" ${openbox} && grep -x ' *<titleLayout>LC</titleLayout>' ${openbox} && grep -F '"custom_chrome_frame":false' /etc/skel/.config/chromium/Default/Preferences`,
    },
    {
      name: 'the clipboard is the agent’s alone, and a change of the size is survived',
      script: `grep -E -- '-skip_lockkeys -nosel -xrandr resize' ${unitPath('airlock-x11vnc')}`,
    },
    {
      name: 'the browser has no size of its own, which pop-ups would have, too',
      script: `! grep -F -- '--window-' ${unitPath('airlock-browser')}`,
    },
    { name: 'there is a font for emoji', script: `fc-list ':charset=1f600' | grep -i emoji` },
    {
      name: 'the locale is C.UTF-8',
      script: `grep -x LANG=C.UTF-8 /etc/locale.conf && locale -a | grep -i '^C.utf8$'`,
    },
  ];
}
