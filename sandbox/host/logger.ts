const LEVELS = ['trace', 'debug', 'information', 'warning', 'error', 'critical', 'none'] as const;
export type LogLevel = (typeof LEVELS)[number];

export interface Logger {
  /** A line of the host itself. */
  host(level: LogLevel, message: string): void;
  /** A line that a function wrote (`category` user) or that the library wrote about it (`category` system). */
  invocation(functionName: string, level: string, category: string, message: string): void;
  /** A line of the library outside an invocation. */
  library(level: string, category: string, message: string): void;
}

export interface LoggerOptions {
  /** `logging.logLevel` of host.json: log category, or its beginning, → lowest level shown. */
  levels: Record<string, string>;
  clock: () => Date;
  write: (line: string) => void;
}

/**
 * Writes one line for each message: `[time] [level] function: message`. Line breaks and other control characters in a message are escaped,
 * so that no message can pose as several. The library's own system messages below `warning` are dropped: they tell of the worker, not of the app.
 */
export function createLogger({ levels, clock, write }: LoggerOptions): Logger {
  const line = (category: string, source: string, level: LogLevel, message: string) => {
    if (LEVELS.indexOf(level) < LEVELS.indexOf(lowestLevel(levels, category))) return;
    write(`[${clock().toISOString()}] [${capitalize(level)}] ${source}: ${escapeControls(message)}`);
  };
  const fromLibrary = (source: string, userCategory: string, level: string, category: string, message: string) => {
    const known = toLevel(level);
    if (category !== 'user' && LEVELS.indexOf(known) < LEVELS.indexOf('warning')) return;
    line(category === 'user' ? userCategory : 'Worker', source, known, message);
  };
  return {
    host: (level, message) => line('Host', 'host', level, message),
    invocation: (name, level, category, message) =>
      fromLibrary(name, `Function.${name}.User`, level, category, message),
    library: (level, category, message) => fromLibrary('app', 'Worker', level, category, message),
  };
}

/** Whether host.json may name this level. Case does not matter, as in .NET. */
export function isLogLevel(text: string): boolean {
  return LEVELS.some((level) => level === text.toLowerCase());
}

/** The longest category prefix that host.json names decides, then `default`, then Information: the rule of .NET's logging filters. */
function lowestLevel(levels: Record<string, string>, category: string): LogLevel {
  const isPrefix = (name: string) => category === name || category.startsWith(`${name}.`);
  const [best] = Object.keys(levels)
    .filter(isPrefix)
    .sort((a, b) => b.length - a.length);
  return toLevel(levels[best ?? 'default'] ?? 'information');
}

function toLevel(text: string): LogLevel {
  return LEVELS.find((level) => level === text.toLowerCase()) ?? 'information';
}

function capitalize(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

function escapeControls(text: string): string {
  return text.replace(/\p{Cc}/gu, (char) => JSON.stringify(char).slice(1, -1));
}
