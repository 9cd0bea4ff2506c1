/** One virtual box in QEMU by software emulation: its serial console is read and typed at, its power can be cut. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync } from 'node:fs';

interface MachineOptions {
  name: string;
  arch: 'x86_64' | 'arm64';
  /** Writable disk image of this machine alone. */
  disk: string;
  /** FAT image, plugged in as a USB stick. */
  stick?: string;
  uefi?: boolean;
  /** x86_64: UEFI with Secure Boot on and Microsoft's keys, as a PC leaves the factory. */
  secure?: boolean;
  /** One network card each, as QEMU's -netdev describes it without the id. */
  nets: readonly string[];
  memoryMb?: number;
  cpus?: number;
  verbose?: boolean;
  /** Where UEFI keeps its variables. */
  work: string;
}

const TICKS = 100;
const FIRMWARE = {
  x86_64: ['/usr/share/OVMF/OVMF_CODE_4M.fd', '/usr/share/OVMF/OVMF_VARS_4M.fd'],
  arm64: ['/usr/share/AAVMF/AAVMF_CODE.fd', '/usr/share/AAVMF/AAVMF_VARS.fd'],
  secure: ['/usr/share/OVMF/OVMF_CODE_4M.ms.fd', '/usr/share/OVMF/OVMF_VARS_4M.ms.fd'],
} as const;

function must(program: string, ...args: string[]): void {
  const done = spawnSync(program, args, { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`${program} ${args.join(' ')}: ${done.error?.message ?? done.stderr}`);
}

/** A disk that begins as a copy of `image` and takes no more room than what is written. */
export function diskOf(image: string, path: string): string {
  must('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', image, '-F', 'raw', path);
  return path;
}

/** A FAT image with the label that a box looks for. */
export function stickOf(path: string, files: Readonly<Record<string, string>>): string {
  must('truncate', '-s', '8M', path);
  must('mkfs.vfat', '-n', 'CARPIO', path);
  for (const [name, text] of Object.entries(files)) {
    const copy = spawnSync('mcopy', ['-o', '-i', path, '-', `::${name}`], { input: text, encoding: 'utf8' });
    if (copy.status !== 0) throw new Error(`mcopy ${name}: ${copy.stderr}`);
  }
  return path;
}

export function fromStick(path: string, name: string): string {
  return spawnSync('mtype', ['-i', path, `::${name}`], { encoding: 'utf8' }).stdout;
}

export class Machine {
  readonly options: MachineOptions;
  private child: ChildProcess | null = null;
  private text = '';
  private cursor = 0;
  private wake: () => void = () => {};
  private commands = 0;
  private startedAt = 0;

  constructor(options: MachineOptions) {
    this.options = options;
  }

  get console(): string {
    return this.text;
  }

  /** Plain text: no colours, no cursor movements. */
  private add(chunk: Buffer): void {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what is removed
    const plain = chunk.toString('latin1').replace(/\u001b\[[0-9;?]*[A-Za-z]|\u001b[()][A-Z0-9]|\u001b[78=>c]|\r/g, '');
    this.text += plain;
    if (this.options.verbose) process.stderr.write(plain.replace(/^/gm, `${this.options.name}| `));
    this.wake();
  }

  powerOn(): void {
    if (this.child) throw new Error(`${this.options.name} is on`);
    const { arch } = this.options;
    const child = spawn(arch === 'arm64' ? 'qemu-system-aarch64' : 'qemu-system-x86_64', this.arguments(), {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdout.on('data', (chunk: Buffer) => this.add(chunk));
    child.on('error', (error) => this.add(Buffer.from(`\nqemu: ${error.message}\n`)));
    child.on('exit', () => {
      if (this.child === child) this.child = null;
      this.wake();
    });
    this.child = child;
    this.cursor = this.text.length;
    this.startedAt = performance.now();
  }

  private arguments(): string[] {
    const { arch, disk, stick, uefi, secure, nets, memoryMb, cpus, work, name } = this.options;
    const args = ['-accel', 'tcg,thread=multi', '-display', 'none', '-monitor', 'none', '-serial', 'stdio'];
    args.push('-m', String(memoryMb ?? 512), '-smp', String(cpus ?? 1));
    // Newer models have the guest use vector instructions, which cost an emulator more than they save.
    args.push(...(arch === 'arm64' ? ['-machine', 'virt', '-cpu', 'cortex-a72'] : ['-cpu', 'Nehalem']));
    // The firmware alone may write its variables, from system management mode.
    if (secure) args.push('-machine', 'q35,smm=on', '-global', 'driver=cfi.pflash01,property=secure,value=on');
    if (uefi || secure || arch === 'arm64') {
      const [code, variables] = FIRMWARE[secure ? 'secure' : arch];
      const own = `${work}/${name}.vars`;
      if (!existsSync(own)) copyFileSync(variables, own);
      args.push(
        '-drive',
        `if=pflash,format=raw,readonly=on,file=${code}`,
        '-drive',
        `if=pflash,format=raw,file=${own}`,
      );
    }
    args.push('-drive', `file=${disk},if=virtio,format=qcow2`);
    if (stick)
      args.push(
        '-device',
        'qemu-xhci',
        '-drive',
        `file=${stick},if=none,id=stick,format=raw`,
        '-device',
        'usb-storage,drive=stick,removable=on',
      );
    if (arch === 'x86_64') args.push('-device', 'i6300esb', '-watchdog-action', 'reset');
    nets.forEach((net, index) => {
      const mac = `52:54:00:${hex(hash(name))}:00:${hex(index + 1)}`;
      args.push('-netdev', `${net},id=net${index}`, '-device', `virtio-net-pci,netdev=net${index},mac=${mac},romfile=`);
    });
    return args;
  }

  /** Seconds since power on. */
  get seconds(): number {
    return (performance.now() - this.startedAt) / 1000;
  }

  /** Seconds of processor time that the emulator has used: what a boot costs on a machine that does nothing else. */
  get cpuSeconds(): number {
    try {
      const fields = readFileSync(`/proc/${this.child?.pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
      return (Number(fields[11]) + Number(fields[12])) / TICKS;
    } catch {
      return 0;
    }
  }

  get isOn(): boolean {
    return this.child !== null;
  }

  /** Waits for text on the console after what was waited for before. @throws Error with the console's last lines */
  async expect(what: RegExp, withinS: number): Promise<RegExpExecArray> {
    const end = performance.now() + withinS * 1000;
    for (;;) {
      const found = what.exec(this.text.slice(this.cursor));
      if (found) {
        this.cursor += found.index + found[0].length;
        return found;
      }
      if (!this.child) throw new Error(`${this.options.name} went off while waiting for ${what}\n${this.tail()}`);
      const left = end - performance.now();
      if (left <= 0) throw new Error(`${this.options.name}: no ${what} within ${withinS} s\n${this.tail()}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(left, 1000));
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  tail(lines = 40): string {
    return this.text
      .split('\n')
      .slice(-lines)
      .map((line) => `  ${this.options.name}| ${line}`)
      .join('\n');
  }

  type(text: string): void {
    this.child?.stdin?.write(text);
  }

  /** Logs in on the serial console. */
  async login(password: string, withinS: number): Promise<void> {
    await this.expect(/login: /, withinS);
    this.type('root\n');
    await this.expect(/[Pp]assword: /, withinS);
    this.type(`${password}\n`);
    await this.expect(/# /, withinS);
    this.type("stty -echo; PS1=''; dmesg -n 1\n");
    await this.shell('true', withinS);
  }

  /** Runs a command in the shell on the console. @returns what it printed; fails unless it exits with 0 */
  async shell(command: string, withinS = 120): Promise<string> {
    const mark = `done-${++this.commands}`;
    this.type(`{ ${command}\n} 2>&1; echo "<$?|${mark}>" | tr '<>' '[]'\n`);
    const begun = this.cursor;
    const [, code] = await this.expect(new RegExp(`\\[(\\d+)\\|${mark}\\]`), withinS);
    const said = this.text
      .slice(begun, this.cursor)
      .replace(new RegExp(`\\[\\d+\\|${mark}\\]$`), '')
      .trim();
    if (code !== '0') throw new Error(`${this.options.name}: ${command}: exit ${code}: ${said}`);
    return said;
  }

  /** Off, as when the cable is pulled. */
  async cutPower(): Promise<void> {
    const { child } = this;
    if (!child) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }
}

const hex = (value: number): string => value.toString(16).padStart(2, '0');
const hash = (text: string): number => [...text].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) & 255, 7);
