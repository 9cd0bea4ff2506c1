/**
 * What of the environment must not reach the runtime. Node reads variables of its own long before the first line of
 * this program: NODE_V8_COVERAGE writes files wherever it points, NODE_COMPILE_CACHE reads compiled code,
 * OPENSSL_MODULES loads libraries. None of them is a setting of Carpio, so the program never runs with one.
 */
const STEERS_RUNTIME = /^(NODE_|OPENSSL_|UV_|V8_)/;

/** @returns the environment without those variables; null when there is none of them, so nothing is to be done */
export function withoutRuntimeVariables(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv | null {
  const kept = Object.entries(environment).filter(([name]) => !STEERS_RUNTIME.test(name));
  return kept.length === Object.keys(environment).length ? null : Object.fromEntries(kept);
}
