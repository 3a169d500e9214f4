/** The page that `keyboard.ts` has opened in the VM: fields, a pop-up, and letters of many scripts. It tells of every change. */

/** Some letters of each script that must be readable. */
export const scripts = {
  Greek: 'αβγ',
  Cyrillic: 'жщя',
  Arabic: 'بسم',
  Hebrew: 'אבג',
  Hindi: 'कखग',
  Thai: 'กขค',
  Tamil: 'கஙச',
  Bengali: 'কখগ',
  Telugu: 'కఖగ',
  Chinese: '中文字',
  Japanese: 'あいう',
  Korean: '한국어',
} as const;

const program = `
const fields = ['input', 'password', 'textarea', 'editable'].map((id) => document.getElementById(id));
let popup = null, hidden = 0, sent = Promise.resolve();
function picture(letter) {
  const canvas = Object.assign(document.createElement('canvas'), { width: 60, height: 60 });
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.font = '32px sans-serif';
  context.fillText(letter, 10, 42);
  return context.getImageData(0, 0, 60, 60).data.join('');
}
function isReadable(letters) {
  const pictures = [...letters].map(picture);
  return new Set([...pictures, picture(' '), picture('\\u{10fffe}')]).size === pictures.length + 2;
}
const unreadable = Object.entries(SCRIPTS).filter(([, letters]) => !isReadable(letters)).map(([name]) => name);
const gl = document.createElement('canvas').getContext('webgl');
const webgl = gl && gl.getParameter(gl.getExtension('WEBGL_debug_renderer_info').UNMASKED_RENDERER_WEBGL);
function tell() {
  const values = Object.fromEntries(fields.map((field) => [field.id, field.value ?? field.textContent]));
  const place = popup && !popup.closed ? { x: popup.screenX, y: popup.screenY, width: popup.outerWidth } : null;
  const told = { ...values, focus: document.hasFocus() ? document.activeElement.id : '', width: outerWidth, height: outerHeight, popup: place, hidden, unreadable, webgl };
  const body = JSON.stringify(told);
  if (body === tell.last) return;
  tell.last = body;
  sent = sent.then(() => fetch('/told', { method: 'POST', body })).catch(() => (tell.last = ''));
}
document.addEventListener('visibilitychange', () => (hidden += document.hidden));
document.getElementById('popup').onclick = () => (popup = open('about:blank', 'g', 'width=500,height=600'));
setInterval(tell, 100);
`;

const at = (top: number, height: number): string =>
  `style="position:absolute;left:10px;top:${top}px;width:300px;height:${height}px"`;

export const fieldsPage = `<!doctype html><meta charset="utf-8"><title>Fields</title>
<input id="input" ${at(10, 30)} autocomplete="off">
<input id="password" type="password" ${at(60, 30)} autocomplete="off">
<textarea id="textarea" ${at(110, 130)}></textarea>
<div id="editable" contenteditable="plaintext-only" ${at(260, 100).replace('"position', '"white-space:pre-wrap;overflow:auto;border:1px solid;position')}></div>
<button id="popup" style="position:absolute;left:400px;top:10px;width:200px;height:80px">pop-up</button>
<script>${program.replace('SCRIPTS', JSON.stringify(scripts))}</script>`;
