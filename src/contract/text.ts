/** Text that came from outside, on its way to a person. Pure. */

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is removed
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g;

/** Text that came from the peer or the network, made safe for a terminal. */
export function clean(text: string): string {
  return text.replace(CONTROL, '?');
}
