/** Keeps a viewer open on an element while the component is mounted. */
import { useCallback, useState, type RefCallback } from 'react';
import { useApi } from '../api/api-context.js';
import { openViewer, type Viewer, type ViewerState } from './viewer.js';

/** Put `ref` on the element that shall hold the desktop of this VM. */
export function useViewer(vmId: string): { ref: RefCallback<HTMLElement>; viewer: Viewer | null; state: ViewerState } {
  const api = useApi();
  const [viewer, setViewer] = useState<Viewer | null>(null);
  const [state, setState] = useState<ViewerState>({ name: 'connecting' });
  const ref = useCallback(
    (element: HTMLElement | null) => {
      if (element === null) return;
      let open = true;
      const opened = openViewer(element, {
        ticket: (signal) => api.desktopTicket(vmId, signal),
        paste: (text, way, signal) =>
          way === 'keys'
            ? api.typeIntoDesktop(vmId, { text }, signal).then(() => true)
            : api.pasteIntoDesktop(vmId, { text, masked: way === 'masked' }, signal),
        ask: (signal) => api.answers(signal),
        onState: (next) => {
          if (open) setState(next);
        },
      });
      setViewer(opened);
      return () => {
        open = false;
        opened.close();
      };
    },
    [api, vmId],
  );
  return { ref, viewer, state };
}
