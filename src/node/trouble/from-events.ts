/** Events that open a trouble, and those that end it. Pure. */
import type { DiagnosisName, NodeEvent } from '../../contract/events.ts';
import { DIAGNOSIS_SEVERITY, type Severity, type Trouble } from '../../contract/trouble.ts';
import { sentence } from '../../contract/words.ts';

/** A trouble without its time, and the key under which it is ended. */
export type Opening = Omit<Trouble, 'since'> & { key: string };
export type Change = { open: Opening } | { close: string };

const MENDS: Readonly<Record<DiagnosisName, string>> = {
  password: 'the same password for this vhid on both boxes',
  address_list: 'the same addresses for this vhid on both boxes',
  missing_vhid: 'configure the vhid on both boxes, or take it away here',
  duplicate_address: 'find the host by its MAC, and take the address away there',
  foreign_user: 'give this vhid another number here, or there',
  own_packets: 'find the loop, or the switch that reflects multicast',
  virtual_mac: 'let the virtual MAC pass the switch, or use mac = "physical"',
};

const placeOf = ({ vhid, interface: role }: { vhid: number; interface: string }): string => `vhid ${vhid} on ${role}`;

/** @returns what the event changes, or null */
export function changeOf(event: NodeEvent): Change | null {
  switch (event.kind) {
    case 'carp.diagnosis': {
      const where = placeOf(event);
      const key = `${event.what} ${where} ${event.reason}`;
      if (event.over) return { close: key };
      const { what } = event;
      return { open: { key, what, where, text: event.reason, severity: DIAGNOSIS_SEVERITY[what], mend: MENDS[what] } };
    }
    case 'carp.dual_master':
      return open(
        event,
        `dual_master ${placeOf(event)}`,
        'dual_master',
        'error',
        'the boxes do not hear each other there',
      );
    case 'carp.dual_master_healed':
      return { close: `dual_master ${placeOf(event)}` };
    case 'carp.multicast_lost':
      return open(event, `multicast ${placeOf(event)}`, 'multicast_lost', 'error', MULTICAST);
    case 'carp.multicast_back':
      return { close: `multicast ${placeOf(event)}` };
    case 'carp.family_silent':
      return open(event, `family ${placeOf(event)}`, 'multicast_lost', 'warning', MULTICAST);
    case 'sync.too_long': {
      const mend = `let packets of ${event.mtu} bytes pass, or set [sync] mtu lower on both boxes`;
      const text = sentence(event);
      return { open: { key: 'too_long', what: 'sync_path_narrow', where: 'sync', severity: 'warning', text, mend } };
    }
    case 'firewall.lost':
      return {
        open: {
          ...{ key: 'rules', what: 'rules_removed', where: 'firewall', severity: 'warning', text: sentence(event) },
          mend: 'find what flushes nftables (nftables.service, a script); put its rules into the file of [firewall] rules',
        },
      };
    case 'firewall.setting':
      return {
        open: {
          ...{ key: `setting ${event.name}`, what: 'setting_changed', where: event.name, severity: 'warning' },
          ...{
            text: sentence(event),
            mend: `find what sets it (/etc/sysctl.d, a script), and let it set ${event.value}`,
          },
        },
      };
    case 'firewall.failed':
      return {
        open: {
          ...{ key: 'rules failed', what: 'rules_missing', where: 'firewall', severity: 'error' },
          ...{ text: sentence(event), mend: 'this box filters nothing: mend what nft says; carpio tries each second' },
        },
      };
    case 'firewall.back':
      return { close: 'rules failed' };
    case 'sync.defer':
      if (event.on) return { close: 'defer' };
      if (event.reason === null) return null;
      return {
        open: {
          ...{ key: 'defer', what: 'defer_off', where: 'sync', severity: 'warning' },
          ...{ text: `defer is off: ${event.reason}`, mend: 'carpio check; first answers do not wait for the peer' },
        },
      };
    default:
      return null;
  }
}

const MULTICAST = 'the switch eats 224.0.0.18 or ff02::12 (IGMP snooping without a querier), or use peers in [[vip]]';

type Placed = Extract<NodeEvent, { vhid: number; interface: string; kind: string }>;

function open(event: Placed, key: string, what: string, severity: Severity, mend: string): Change {
  return { open: { key, what, where: placeOf(event), severity, text: sentence(event), mend } };
}
