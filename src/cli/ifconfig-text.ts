/** `carpio ifconfig`: what BSD's ifconfig would say of the virtual interfaces. Pure. */

import type { NodeStatus, VipStatus } from '../contract/status.ts';
import { clean } from '../contract/text.ts';
import { formatAddress, parseCidr } from '../net/cidr.ts';

function hexMask(prefix: number): string {
  const mask = prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0;
  return `0x${mask.toString(16).padStart(8, '0')}`;
}

function addressLine(text: string, vhid: number): string {
  const cidr = parseCidr(text);
  if (!cidr) return `\tinet ${clean(text)} vhid ${vhid}`;
  const host = formatAddress(cidr);
  if (cidr.family === 6) return `\tinet6 ${host} prefixlen ${cidr.prefix} vhid ${vhid}`;
  const broadcast = cidr.bytes.map((byte, i) => byte | (0xff >> Math.min(8, Math.max(0, cidr.prefix - 8 * i))));
  const tail = cidr.prefix < 31 ? ` broadcast ${formatAddress({ family: 4, bytes: broadcast })}` : '';
  return `\tinet ${host} netmask ${hexMask(cidr.prefix)}${tail} vhid ${vhid}`;
}

function vipLines(vip: VipStatus): string[] {
  const carp = `\tcarp: ${vip.state} vhid ${vip.vhid} advbase ${vip.advbase} advskew ${vip.advskew}`;
  const gate = vip.gate === undefined ? '' : `, gate ${vip.gate.state}`;
  return [...vip.addresses.map((address) => addressLine(address, vip.vhid)), carp + gate];
}

/** Device by device: its virtual addresses, then one `carp:` line a vhid. */
export function renderIfconfig(status: NodeStatus): string {
  const devices = new Map<string, VipStatus[]>();
  for (const vip of status.carp.vips) devices.set(vip.device, [...(devices.get(vip.device) ?? []), vip]);
  const lines: string[] = [];
  for (const [device, vips] of devices) {
    lines.push(`${clean(device)}:`, `\tdescription: ${clean(vips[0]!.interface)}`);
    const all = vips.map(vipLines);
    lines.push(...all.flatMap((of) => of.slice(0, -1)), ...all.map((of) => of.at(-1)!));
  }
  return lines.map((line) => `${line}\n`).join('');
}
