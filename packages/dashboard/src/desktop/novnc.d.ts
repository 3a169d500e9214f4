/** The part of noVNC 1.7 that the dashboard uses; the package brings no types. */
declare module '@novnc/novnc' {
  export interface RfbOptions {
    shared?: boolean;
  }

  export interface RfbEventMap {
    connect: CustomEvent<Record<string, never>>;
    disconnect: CustomEvent<{ clean: boolean }>;
    credentialsrequired: CustomEvent<{ types: string[] }>;
    securityfailure: CustomEvent<{ status: number; reason?: string }>;
  }

  export default class RFB {
    constructor(target: HTMLElement, socket: WebSocket, options?: RfbOptions);
    scaleViewport: boolean;
    clipViewport: boolean;
    dragViewport: boolean;
    resizeSession: boolean;
    focusOnClick: boolean;
    showDotCursor: boolean;
    background: string;
    focus(options?: FocusOptions): void;
    /** Presses and releases the key when `down` is left out. `code` may be null. Every key of the keyboard goes through it, too. */
    sendKey(keysym: number, code: string | null, down?: boolean): void;
    disconnect(): void;
    addEventListener<K extends keyof RfbEventMap>(type: K, listener: (event: RfbEventMap[K]) => void): void;
  }
}
