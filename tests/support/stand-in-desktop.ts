/**
 * Plays the desktop of a VM to a page: an RFB server behind the page's WebSocket, and the agent's part of paste, copy and size. What
 * comes is kept in its order, keys and pastes together.
 */
import type { Page, Route, WebSocketRoute } from 'playwright-core';

export interface StandInDesktop {
  /** `a↓`, `a↑`, `<text>`, `masked <text>`, `typed <text>`; keysyms beyond Latin-1 as hexadecimal numbers. */
  got: string[];
  sizes: string[];
  /** What was copied in it. */
  copied: string | null;
  /** Whether a program takes what is pasted. */
  fetches: boolean;
  /** While set, pastes wait for it. */
  gate: Promise<void> | undefined;
  /** While set, what the viewer sends is read after it. */
  slow: Promise<void> | undefined;
  /** Views that were opened. */
  views: number;
  /** Ends the connection. */
  drop(): Promise<void>;
  /** While false, the network is silent: Airlock does not say whether it is there. */
  isThere: boolean;
}

const size = { width: 1280, height: 800 };

/** For every desktop that `page` opens. */
export async function playDesktop(page: Page): Promise<StandInDesktop> {
  let open: WebSocketRoute | undefined;
  const desktop: StandInDesktop = {
    ...{ got: [], sizes: [], copied: null, fetches: true, gate: undefined, slow: undefined, views: 0, isThere: true },
    drop: async () => open?.close({ code: 1000 }),
  };
  await page.route(/\/healthz$|\/api\/vm\/vm_[^/]+\/desktop/, (route) => answer(desktop, route));
  await page.routeWebSocket(/\/desktop\?ticket=/, (socket) => {
    open = socket;
    desktop.views += 1;
    serve(socket, desktop);
  });
  // noVNC looks for what a channel can do at the object itself and one step up; Playwright's has it further up.
  await page.addInitScript(() => {
    const played = WebSocket.prototype as object;
    for (
      let above = Object.getPrototypeOf(played) as object | null;
      above;
      above = Object.getPrototypeOf(above) as object | null
    ) {
      for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(above))) {
        if (name !== 'constructor' && !Object.hasOwn(played, name)) Object.defineProperty(played, name, descriptor);
      }
    }
  });
  return desktop;
}

/** The calls of the API that are about a desktop. */
async function answer(desktop: StandInDesktop, route: Route): Promise<void> {
  const request = route.request();
  const body = (request.postDataJSON() ?? {}) as Record<string, unknown>;
  const verb = new URL(request.url()).pathname.split('/').pop();
  switch (verb) {
    case 'healthz':
      return desktop.isThere ? route.fulfill({ json: { status: 'ok' } }) : undefined;
    case 'desktop-ticket': {
      if (!desktop.isThere) return undefined;
      const path = '/api/vm/desktop?ticket=0123456789abcdef';
      return route.fulfill({ json: { path, expiresAt: new Date().toISOString() } });
    }
    case 'size':
      desktop.sizes.push(`${String(body['width'])}x${String(body['height'])}`);
      return route.fulfill({ status: 204 });
    case 'copied':
      return route.fulfill({ json: { text: desktop.copied } });
    case 'type':
      desktop.got.push(`typed <${String(body['text'])}>`);
      await desktop.gate;
      return route.fulfill({ status: 204 });
    default:
      desktop.got.push(`${body['masked'] === true ? 'masked ' : ''}<${String(body['text'])}>`);
      await desktop.gate;
      return route.fulfill({ json: { fetched: desktop.fetches } });
  }
}

/** Version, security None, shared, the description of the screen; then messages as they come, each whole in one piece or not. */
function serve(socket: WebSocketRoute, desktop: StandInDesktop): void {
  let rest = Buffer.alloc(0);
  let stage = 0;
  socket.onMessage(async (message) => {
    rest = Buffer.concat([rest, Buffer.from(message)]);
    await desktop.slow;
    for (let used = take(); used > 0; used = take()) rest = rest.subarray(used);
  });
  function take(): number {
    if (stage < 3) return greet();
    const length = lengthOf(rest);
    if (rest.length === 0 || rest.length < length) return 0;
    if (rest[0] === 4) desktop.got.push(`${nameOf(rest.readUInt32BE(4))}${rest[1] === 1 ? '↓' : '↑'}`);
    if (rest[0] === 3 && rest[1] === 0) socket.send(picture());
    // xvp in a version that it does not know; x11vnc answers so.
    if (rest[0] === 250) socket.send(Buffer.from([250, 0, rest[2] ?? 0, 0]));
    return length;
  }
  function greet(): number {
    const [wanted, answer] = [
      [12, Buffer.from([1, 1])],
      [1, Buffer.alloc(4)],
      [1, description()],
    ][stage] as [number, Buffer];
    if (rest.length < wanted) return 0;
    stage += 1;
    socket.send(answer);
    return wanted;
  }
  socket.send(Buffer.from('RFB 003.008\n'));
}

/** Bytes of the message that begins here. */
function lengthOf(message: Buffer): number {
  const lengths: Record<number, number> = { 0: 20, 3: 10, 4: 8, 5: 6, 250: 4 };
  if (message[0] === 2) return message.length < 4 ? 4 : 4 + 4 * message.readUInt16BE(2);
  if (message[0] === 6) return message.length < 8 ? 8 : 8 + message.readUInt32BE(4);
  return lengths[message[0] ?? 0] ?? Infinity;
}

const nameOf = (keysym: number): string =>
  keysym > 0x1f && keysym < 0x100 ? String.fromCharCode(keysym) : `0x${keysym.toString(16)}`;

function description(): Buffer {
  const name = Buffer.from('desktop');
  const head = Buffer.alloc(24);
  head.writeUInt16BE(size.width, 0);
  head.writeUInt16BE(size.height, 2);
  head.set([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0], 4);
  head.writeUInt32BE(name.length, 20);
  return Buffer.concat([head, name]);
}

/** A browser beside a terminal, in plain colours: rectangles by RRE. */
function picture(): Buffer {
  const colour = (red: number, green: number, blue: number): number[] => [red, green, blue, 0];
  const rectangle = (x: number, y: number, width: number, height: number): Buffer => {
    const box = Buffer.alloc(8);
    [x, y, width, height].forEach((value, index) => box.writeUInt16BE(value, index * 2));
    return box;
  };
  const encoding = Buffer.alloc(4);
  encoding.writeInt32BE(2);
  const parts: [number[], Buffer][] = [
    [colour(0xdf, 0xe8, 0xf2), rectangle(0, 0, 832, 800)],
    [colour(0xc6, 0xd1, 0xd1), rectangle(0, 0, 832, 64)],
    [colour(0xff, 0xff, 0xff), rectangle(216, 220, 400, 300)],
    [colour(0x0b, 0x6e, 0x6a), rectangle(256, 440, 320, 44)],
    [colour(0x1d, 0x24, 0x2c), rectangle(836, 28, 440, 760)],
  ];
  const count = Buffer.alloc(4);
  count.writeUInt32BE(parts.length);
  return Buffer.concat([
    Buffer.from([0, 0, 0, 1]),
    ...[rectangle(0, 0, size.width, size.height), encoding, count, Buffer.from(colour(0x3a, 0x48, 0x4b))],
    ...parts.flatMap(([fill, box]) => [Buffer.from(fill), box]),
  ]);
}
