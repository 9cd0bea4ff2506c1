/** Builds the feed's page as one HTML text (also written to build/page.html under `root`). */
export function buildPage(root: string): Promise<string>;
