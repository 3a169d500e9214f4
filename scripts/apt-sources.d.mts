/** Types of apt-sources.mjs, for packages/image-builder. */
export interface AptSource {
  uris: string[];
  suites: string[];
  components: string[];
  /** Path of a keyring, or the key itself; empty when the source does not say. */
  signedBy: string;
  /** Empty when the source does not say. */
  trusted: string;
}
export function parseDeb822(text: string): AptSource[];
export function parseOneLine(text: string): AptSource[];
export function readAptSources(folder?: string): AptSource[];
