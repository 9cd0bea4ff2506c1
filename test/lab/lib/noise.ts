/**
 * What the test machine may add to a time that is promised, ms: two noisy cores, where every wait for one counts twice,
 * the program's and the test's own. The time itself is printed, and measured by `npm run bench`.
 */
export const NOISE_MS = 400;
