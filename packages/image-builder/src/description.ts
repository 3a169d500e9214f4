/** What the golden image is made of: the one place to change a version or a package. Part of the inputs' hash. */
export const description = {
  suite: 'trixie',
  /** Debian packages of the guest; recommended packages are not installed. */
  packages: [
    // the system
    'systemd',
    'systemd-sysv',
    'linux-image-cloud-amd64',
    // these two make the initrd
    'busybox-static',
    'cpio',
    'iproute2',
    'e2fsprogs',
    'ca-certificates',
    'netbase',
    'procps',
    'tzdata',
    // what a person finds in the terminal
    'nodejs',
    'curl',
    'git',
    'less',
    // the desktop
    'xvfb',
    'x11vnc',
    'openbox',
    'xterm',
    'chromium',
    'x11-utils',
    'x11-xserver-utils',
    'fonts-dejavu-core',
    'fonts-liberation',
  ],
  /** What dpkg leaves out: nobody reads it in a VM. */
  leftOut: ['/usr/share/man/*', '/usr/share/info/*', '/usr/share/doc/*', '/usr/share/locale/*'],
  keptAnyway: ['/usr/share/doc/*/copyright'],
  /** The coding CLIs; `command` must be on PATH and tell this very version. `afterInstall` is run with node. */
  clis: [
    { id: 'codex', package: '@openai/codex', version: '0.169.0', command: 'codex', afterInstall: null },
    {
      id: 'claude',
      package: '@anthropic-ai/claude-code',
      version: '2.1.197',
      command: 'claude',
      // npm's scripts are off; this one puts the native program in its place.
      afterInstall: 'install.cjs',
    },
    { id: 'gemini', package: '@google/gemini-cli', version: '0.61.0', command: 'gemini', afterInstall: null },
  ],
  rootfs: { label: 'airlock-root', sizeMib: 4096, features: 'encrypt' },
} as const;

export type Description = typeof description;

/** Free space that a build needs in MiB: for the root while it grows, and for the finished image. Measured, plus a fifth. */
export const spaceNeeded = { workMib: 4500, imagesMib: 2700 } as const;
