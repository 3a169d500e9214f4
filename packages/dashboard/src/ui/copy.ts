/** The one way to the person's clipboard, also on an address that browsers do not trust with it (http:// and not loopback). */

/** Resolves to whether the text is there now; false where the browser refuses, or nobody has just pressed something. */
export async function copyText(text: string): Promise<boolean> {
  // Only a page that is trusted has the clipboard.
  const clipboard = navigator.clipboard as Clipboard | undefined;
  if (clipboard === undefined) return copySelected(text);
  return clipboard.writeText(text).then(
    () => true,
    () => copySelected(text),
  );
}

/** As a person copies: by a selection. */
function copySelected(text: string): boolean {
  const before = document.activeElement;
  const field = document.createElement('textarea');
  field.value = text;
  field.readOnly = true;
  field.ariaHidden = 'true';
  field.style.cssText = 'position:fixed;top:0;left:0;width:1px;height:1px;opacity:0;font-size:16px';
  // A dialog keeps the keyboard within itself.
  (before?.closest('[role="dialog"]') ?? document.body).append(field);
  field.select();
  // No browser has another way there.
  const copied = document.execCommand('copy');
  field.remove();
  if (before instanceof HTMLElement) before.focus({ preventScroll: true });
  return copied;
}
