/**
 * Completion scripts for bash, zsh and fish, made from what each command says it takes, so that they cannot know
 * another program than this one. Pure.
 */
import { HELP, type OptionSpec } from '../args.ts';
import type { Command } from '../command.ts';

export interface Described {
  command: Pick<Command, 'name' | 'options' | 'positionals'>;
  summary: string;
}

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** Words that stand for a choice in a positional: `on|off`. */
const choicesOf = (positional: string): string[] => {
  const words = positional.replace(/^\[|\]$/g, '').split('|');
  return words.length > 1 && words.every((word) => /^[a-z-]+$/.test(word)) ? words : [];
};

const optionsOf = ({ command }: Described): readonly OptionSpec[] => [...command.options, HELP];

/** Values that are names of files. */
const isFile = ({ value }: OptionSpec): boolean => /^(FILE|PATH|DIR|FOLDER)$/.test(value ?? '');

/** In single quotes, for all three shells. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

export function completionScript(shell: Shell, commands: readonly Described[]): string {
  return { bash, zsh, fish }[shell](commands);
}

function bash(commands: readonly Described[]): string {
  const cases = commands.map((described) => {
    const words = optionsOf(described).map(({ name }) => `--${name}`);
    words.push(...described.command.positionals.flatMap(choicesOf));
    return `    ${described.command.name}) words=${quoted(words.join(' '))} ;;`;
  });
  const values = commands.flatMap(({ command }) =>
    command.options
      .filter(({ choices }) => choices !== undefined)
      .map(({ name, choices }) => `    ${command.name}:--${name}) words=${quoted(choices?.join(' ') ?? '')} ;;`),
  );
  const files = [...new Set(commands.flatMap(({ command }) => command.options.filter(isFile).map(({ name }) => name)))];
  return `# bash completion for carpio: source it, or put it into /usr/share/bash-completion/completions/carpio
_carpio() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} words=
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W ${quoted(['help', ...commands.map(({ command }) => command.name)].join(' '))} -- "$word"))
    return
  fi
  case "$before" in
    ${files.map((name) => `--${name}`).join('|')}) COMPREPLY=($(compgen -f -- "$word")); return ;;
  esac
  case "\${COMP_WORDS[1]}:$before" in
${values.join('\n')}
  esac
  if [ -z "$words" ]; then case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
  esac; fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  if [ "\${#COMPREPLY[@]}" -eq 0 ]; then COMPREPLY=($(compgen -f -- "$word")); fi
}
complete -F _carpio carpio
`;
}

function zsh(commands: readonly Described[]): string {
  const escaped = (text: string): string => text.replaceAll(/[[\]:\\]/g, (char) => `\\${char}`);
  const list = commands.map(({ command, summary }) => `    ${quoted(`${command.name}:${escaped(summary)}`)}`);
  const cases = commands.map((described) => {
    const options = optionsOf(described).map((option) => {
      const action = option.choices ? `(${option.choices.join(' ')})` : isFile(option) ? '_files' : ' ';
      const value = option.value === undefined ? '' : `:${escaped(option.value)}:${action}`;
      return quoted(`--${option.name}[${escaped(option.help)}]${value}`);
    });
    const rest = described.command.positionals.map((positional) => {
      const choices = choicesOf(positional);
      return quoted(`:${escaped(positional)}:${choices.length > 0 ? `(${choices.join(' ')})` : '_files'}`);
    });
    return `    ${described.command.name}) _arguments ${[...options, ...rest].join(' ')} ;;`;
  });
  return `#compdef carpio
# zsh completion for carpio: put it into a folder of $fpath as _carpio
_carpio() {
  local -a commands
  commands=(
${list.join('\n')}
  )
  if (( CURRENT == 2 )); then _describe command commands; return; fi
  local command=\${words[2]}
  shift words; (( CURRENT-- ))
  case $command in
${cases.join('\n')}
  esac
}
if [ "\${funcstack[1]}" = "_carpio" ]; then _carpio "$@"; else compdef _carpio carpio; fi
`;
}

function fish(commands: readonly Described[]): string {
  const lines = ['# fish completion for carpio: put it into ~/.config/fish/completions/carpio.fish'];
  for (const described of commands) {
    const { command, summary } = described;
    lines.push(`complete -c carpio -f -n __fish_use_subcommand -a ${command.name} -d ${quoted(summary)}`);
    const seen = `-n ${quoted(`__fish_seen_subcommand_from ${command.name}`)}`;
    for (const option of optionsOf(described)) {
      const takes = option.value === undefined ? '' : isFile(option) ? ' -rF' : ' -x';
      const choices = option.choices ? ` -a ${quoted(option.choices.join(' '))}` : '';
      lines.push(`complete -c carpio ${seen} -l ${option.name} -d ${quoted(option.help)}${takes}${choices}`);
    }
    const choices = command.positionals.flatMap(choicesOf);
    if (choices.length > 0) lines.push(`complete -c carpio -f ${seen} -a ${quoted(choices.join(' '))}`);
  }
  return `${lines.join('\n')}\n`;
}
