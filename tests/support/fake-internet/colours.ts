/**
 * The colours by which tests find things on the simulated sign-in pages, in a framebuffer or a noVNC canvas.
 * Each is far from all others (and from the greys of a desktop), so that lossy encodings do not mix them up.
 */

export interface Rgb {
  r: number;
  g: number;
  b: number;
}

export const pageColours = {
  /** Border of the e-mail field. */
  emailField: { r: 37, g: 99, b: 235 },
  /** Border of the password field. */
  passwordField: { r: 147, g: 51, b: 234 },
  /** The button that sends e-mail and password. */
  primaryButton: { r: 16, g: 163, b: 127 },
  /** The banner after a wrong password. */
  errorBanner: { r: 220, g: 38, b: 38 },
  /** Consent page: the button that agrees. */
  allowButton: { r: 101, g: 163, b: 13 },
  /** Consent page: the button that refuses. */
  denyButton: { r: 217, g: 119, b: 6 },
} as const satisfies Record<string, Rgb>;

/** The colour as CSS text. */
export function css({ r, g, b }: Rgb): string {
  return `rgb(${r},${g},${b})`;
}
