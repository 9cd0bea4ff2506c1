/** What a part may say in the log; node/report/log.ts writes it. */
export interface Logger {
  info(message: string): void;
  warning(message: string): void;
  error(message: string): void;
}
