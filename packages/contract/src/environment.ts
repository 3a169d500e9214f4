/**
 * Environments for programs that Airlock starts: what each has use for and nothing else, so that a secret among the settings of
 * one program (the upstream's password, DATABASE_URL) is in the environment of no other.
 */

/** What any program may need to find others, its files and its language. */
const everyProgram = ['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'LC_ALL', 'LC_CTYPE', 'TZ', 'TMPDIR'];

/** What leads npm to its registry, through which proxy, and by which certificates it believes it. */
const npmNames = [
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'all_proxy', 'no_proxy'],
  ...['NODE_EXTRA_CA_CERTS', 'NODE_USE_SYSTEM_CA', 'SSL_CERT_FILE', 'SSL_CERT_DIR'],
  // What an .npmrc names as ${…}, by custom.
  ...['NPM_TOKEN', 'NODE_AUTH_TOKEN'],
];
/** The same as settings of npm itself; and where its other settings and its cache are. */
const npmSettings =
  /^npm_config_(registry|replace_registry_host|proxy|https?_proxy|noproxy|ca|cafile|cert|key|strict_ssl|userconfig|globalconfig|cache|fetch_\w+|maxsockets|_auth\w*|@.+:registry|\/\/.+)$/i;

/** For a program of Airlock's own, or one that needs no more than to be found. */
export function plainEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return pick(env, (name) => everyProgram.includes(name));
}

/** For npm on this host. */
export function npmEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const options = (env['NODE_OPTIONS'] ?? '').split(/\s+/).filter((option) => certificateOptions.test(option));
  return {
    ...pick(env, (name) => everyProgram.includes(name) || npmNames.includes(name) || npmSettings.test(name)),
    ...(options.length > 0 && { NODE_OPTIONS: options.join(' ') }),
  };
}

/** Of NODE_OPTIONS: which authorities Node believes. Without them SSL_CERT_FILE means nothing to it. */
const certificateOptions = /^--use-(openssl|system|bundled)-ca$/;

const pick = (env: NodeJS.ProcessEnv, wanted: (name: string) => boolean): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => wanted(name)));
