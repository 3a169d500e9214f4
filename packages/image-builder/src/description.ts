/** What the golden image is made of, but for the coding CLIs (cli.ts). Part of the inputs' hash. */
import { rootDiskMib } from '@airlock/contract/capacity';

export const description = {
  suite: 'trixie',
  /** Seconds since 1970. Nothing in the image carries a later time, so that it does not matter when it is built. */
  epoch: 1_767_225_600,
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
    // Chinese, Japanese, Korean; emoji
    'fonts-wqy-microhei',
    'fonts-noto-color-emoji',
    // Hindi, Bengali, Tamil, Telugu, Thai
    'fonts-lohit-deva',
    'fonts-lohit-beng-bengali',
    'fonts-lohit-taml',
    'fonts-lohit-telu',
    'fonts-tlwg-loma-ttf',
  ],
  /** What dpkg leaves out. finish.sh takes away what packages must have while they are installed. */
  leftOut: [
    // nobody reads it in a VM
    ...['/usr/share/man/*', '/usr/share/info/*', '/usr/share/doc/*', '/usr/share/locale/*'],
    // 3D drivers and their compiler: Xvfb runs without GLX and Chromium without GPU
    ...['/usr/lib/x86_64-linux-gnu/libLLVM*', '/usr/lib/x86_64-linux-gnu/libz3.so*'],
    ...['/usr/lib/x86_64-linux-gnu/libgallium-*', '/usr/lib/x86_64-linux-gnu/dri/*'],
    '/usr/lib/chromium/libVkLayer_khronos_validation.so',
    // the C compiler behind cpp, which only xrdb would call
    '/usr/libexec/gcc/*',
    // PostScript, for pictures that the window manager never loads
    ...['/usr/lib/x86_64-linux-gnu/libgs.so*', '/usr/share/ghostscript/*', '/usr/share/poppler/*'],
    ...['/usr/share/fonts/opentype/urw-base35/*', '/usr/share/fonts/type1/urw-base35/*'],
    // the names of hardware for udev, which does not run
    '/usr/lib/udev/hwdb.d/*',
    // for compiling Perl itself, and for text in character sets of the last century
    ...['/usr/lib/x86_64-linux-gnu/perl/*/CORE/*', '/usr/lib/x86_64-linux-gnu/perl/*/auto/Encode/[CJKT]*/*'],
    // the server's side of git
    ...['/usr/lib/git-core/git-daemon', '/usr/lib/git-core/git-http-backend', '/usr/lib/git-core/git-shell'],
    ...['/usr/lib/git-core/git-imap-send', '/usr/lib/git-core/git-http-push', '/usr/lib/git-core/scalar'],
    // other package managers for Node, and what only compilers of TypeScript read
    ...['/usr/share/nodejs/corepack/*', '/usr/share/nodejs/@types/*'],
  ],
  keptAnyway: ['/usr/share/doc/*/copyright'],
  /** `uuid` and `hashSeed` are the same in every image: two builds of the same inputs give the same bytes. */
  rootfs: {
    label: 'airlock-root',
    uuid: '6f1b6ea4-6d3f-4c0f-9d3a-4f1d6a2b7c01',
    hashSeed: '6f1b6ea4-6d3f-4c0f-9d3a-4f1d6a2b7c02',
    sizeMib: rootDiskMib,
    features: 'encrypt',
  },
} as const satisfies Description;

export interface Description {
  suite: string;
  epoch: number;
  packages: readonly string[];
  leftOut: readonly string[];
  keptAnyway: readonly string[];
  rootfs: { label: string; uuid: string; hashSeed: string; sizeMib: number; features: string };
}
