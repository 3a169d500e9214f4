/** Where the agent listens and finds things. Defaults are the image's; the variables are for tests on an ordinary machine. */

/**
 * Loaded before everything else, on the boot's critical path: this module imports nothing, so the values of
 * `guestPaths` and `guestPorts` are repeated here; settings.test.ts holds them together.
 */
export interface AgentSettings {
  /** The listening socket that systemd hands over (sd_listen_fds(3)); null: the agent listens at `host` and `port` itself. */
  listenFd: number | null;
  host: string;
  port: number;
  configDevice: string;
  /** The drive's name appears while the guest boots: its absence is an error only after so many milliseconds. */
  configWaitMs: number;
  runFolder: string;
  home: string;
  /** The disk that the home must be on, where the VM has one. */
  homeDevice: string;
  /** New files of a home folder come from here. */
  skeleton: string;
  /** The certificate bundle that the image was built with. */
  baseCaBundle: string;
  /** The cgroup that the desktop user's programs run in, below one with limits that is there already. */
  programsCgroup: string;
  /** Where programs are looked for: PATH of everything that the agent starts. */
  searchPath: string;
  /** Socket of the X server. */
  displaySocket: string;
  vncPort: number;
  /** 'off': touch neither clock, random numbers, host name nor power of the machine, and run programs as this very user. */
  systemEffects: 'on' | 'off';
}

const firstPassedFd = 3;

const defaults = {
  AIRLOCK_AGENT_HOST: '0.0.0.0',
  AIRLOCK_AGENT_PORT: '8080',
  AIRLOCK_CONFIG_DEVICE: '/dev/disk/by-id/virtio-airlock-config',
  AIRLOCK_CONFIG_WAIT_MS: '15000',
  AIRLOCK_RUN_DIR: '/run/airlock',
  AIRLOCK_HOME_DIR: '/home/airlock',
  AIRLOCK_HOME_DEVICE: '/dev/disk/by-id/virtio-airlock-home',
  AIRLOCK_SKELETON: '/etc/skel',
  AIRLOCK_BASE_CA_BUNDLE: '/usr/share/airlock/ca-certificates.crt',
  AIRLOCK_PROGRAMS_CGROUP: '/sys/fs/cgroup/airlock.slice/programs',
  AIRLOCK_SEARCH_PATH: '/usr/local/bin:/usr/bin:/bin',
  AIRLOCK_DISPLAY_SOCKET: '/tmp/.X11-unix/X0',
  AIRLOCK_VNC_PORT: '5901',
  AIRLOCK_SYSTEM_EFFECTS: 'on',
};

function whole(name: string, text: string, max: number): number {
  if (/^\d{1,9}$/.test(text) && Number(text) <= max) return Number(text);
  throw new Error(`${name} is "${text}"; expected a whole number from 0 to ${max}.`);
}

/**
 * The settings that the environment gives.
 * @throws Error when a variable is not of the expected form, or an AIRLOCK_ variable is unknown.
 */
export function readSettings(env: NodeJS.ProcessEnv, pid = process.pid): AgentSettings {
  const unknown = Object.keys(env).filter((name) => name.startsWith('AIRLOCK_') && !(name in defaults));
  if (unknown.length > 0)
    throw new Error(`Unknown setting ${unknown.join(', ')}; known are ${Object.keys(defaults).join(', ')}.`);
  const value = (name: keyof typeof defaults): string => {
    const text = env[name] ?? defaults[name];
    if (text === '') throw new Error(`${name} is empty.`);
    return text;
  };
  const number = (name: keyof typeof defaults, max: number): number => whole(name, value(name), max);
  const effects = value('AIRLOCK_SYSTEM_EFFECTS');
  if (effects !== 'on' && effects !== 'off')
    throw new Error(`AIRLOCK_SYSTEM_EFFECTS is "${effects}"; expected on or off.`);
  return {
    listenFd: env['LISTEN_PID'] === String(pid) && env['LISTEN_FDS'] === '1' ? firstPassedFd : null,
    host: value('AIRLOCK_AGENT_HOST'),
    port: number('AIRLOCK_AGENT_PORT', 65_535),
    configDevice: value('AIRLOCK_CONFIG_DEVICE'),
    configWaitMs: number('AIRLOCK_CONFIG_WAIT_MS', 600_000),
    runFolder: value('AIRLOCK_RUN_DIR'),
    home: value('AIRLOCK_HOME_DIR'),
    homeDevice: value('AIRLOCK_HOME_DEVICE'),
    skeleton: value('AIRLOCK_SKELETON'),
    baseCaBundle: value('AIRLOCK_BASE_CA_BUNDLE'),
    programsCgroup: value('AIRLOCK_PROGRAMS_CGROUP'),
    searchPath: value('AIRLOCK_SEARCH_PATH'),
    displaySocket: value('AIRLOCK_DISPLAY_SOCKET'),
    vncPort: number('AIRLOCK_VNC_PORT', 65_535),
    systemEffects: effects,
  };
}
