/**
 * A box without a configuration: it answers on a documented address, shows its status, and forwards nothing. The feed
 * only tells, and there is nothing secret to tell yet, so its token is as public as the address.
 */
export const SAFE_PORT = 'port1';
export const SAFE_ADDRESS = '192.168.77.1';
export const SAFE_TOKEN = 'carpio-safe-mode';

/** @param directory where these files will be found, absolute */
export function safeFiles(directory: string): Map<string, string> {
  const config = `# Safe mode: no configuration was found, or the one that was found is not sound (see carpio-report.txt).
[node]
name = "carpio"
[interfaces]
lan = "${SAFE_PORT}"
[feed]
listen = ["127.0.0.1:8180", "${SAFE_ADDRESS}:8180"]
token_file = "${directory}/feed.token"
[service]
watchdog = "/dev/watchdog"
`;
  return new Map([
    ['carpio.toml', config],
    ['feed.token', `${SAFE_TOKEN}\n`],
  ]);
}
