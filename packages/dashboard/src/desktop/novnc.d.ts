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
    /** Not part of its face: what has come from the server, without the type of the message that is being read. */
    protected readonly _sock: {
      /** True: there are not so many bytes yet, and `goback` bytes will be read again. */
      rQwait(what: string, bytes: number, goback: number): boolean;
      rQskipBytes(bytes: number): void;
    };
    /** Not part of its face either. Returns false to be called again when there is more. */
    protected _handleXvpMsg(): boolean;
    addEventListener<K extends keyof RfbEventMap>(type: K, listener: (event: RfbEventMap[K]) => void): void;
  }
}
