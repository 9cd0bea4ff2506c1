/** The stacks that the failover bench compares. */
import { existsSync, readFileSync } from 'node:fs';
import { which } from '../../lab/command.ts';
import { type ConfigOptions, writeConfig } from '../../lab/config.ts';
import { BINARY } from '../../lab/firewall.ts';
import { FIREWALLS } from '../../lab/plan.ts';
import { CarpioPair, type Stack } from './failover-cluster.ts';
import { Keepalived, keepalivedConf, Ucarp, ucarpShown } from './failover-incumbents.ts';

function carpio(name: string, title: string, options: ConfigOptions): Stack {
  return {
    name,
    title,
    missing: existsSync(BINARY) ? null : 'dist/carpio is not built: npm run build -- --host',
    gated: true,
    create: (lab) => new CarpioPair(lab, options),
    show: () => FIREWALLS.map((node) => readFileSync(writeConfig(node, options).config, 'utf8')).join('\n'),
  };
}

function keepalived(name: string, advertInt: number): Stack {
  return {
    name,
    title: `keepalived ${advertInt} s`,
    missing: which('keepalived') ? null : 'keepalived is missing (apt-get install keepalived)',
    gated: false,
    create: (lab) => new Keepalived(lab, advertInt),
    show: () => FIREWALLS.map((node) => keepalivedConf(node, advertInt)).join('\n'),
  };
}

export const STACKS: readonly Stack[] = [
  carpio('carpio', 'carpio, default timers', {}),
  carpio('carpio-fast', 'carpio, fast profile', { advbase: 0, advskew: { 'fw-a': 8, 'fw-b': 10 } }),
  carpio('carpio-alone', 'carpio, no sync link', { sync: false }),
  keepalived('keepalived-1s', 1),
  keepalived('keepalived-0.1s', 0.1),
  {
    name: 'ucarp-1s',
    title: 'ucarp 1 s',
    missing: which('ucarp') ? null : 'ucarp is missing (apt-get install ucarp)',
    gated: false,
    create: (lab) => new Ucarp(lab),
    show: ucarpShown,
  },
];
