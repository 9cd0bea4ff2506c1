/** What keepalived's statements mean to Carpio when they do not become a key of carpio.toml. */

type Words = Readonly<Record<string, string>>;

const ANNOUNCE = 'Carpio announces on take-over, again seconds later and after a healed split';
const TIMERS = "CARP's timers follow from advbase and advskew";
const HOOK =
  '[hooks] on_event names one program, which gets every event as JSON on standard input; call your script from it';
const ROUTES = "routes, rules and the system's own addresses are for its network configuration";
const IPVS = 'load balancing (IPVS) is not a job of Carpio';
const MAIL = 'Carpio sends no mail; call a mailer from [hooks] on_event';
const PROCESS = 'Carpio decides its own privileges and scheduling (see the service file)';

/** In a vrrp_instance. */
export const INSTANCE_NOT_NEEDED: Words = {
  state: 'who is master is decided by the election alone',
  mcast_src_ip: "adverts leave with the device's own address",
  unicast_src_ip: "adverts leave with the device's own address",
  track_src_ip: "adverts leave with the device's own address",
  check_unicast_src: 'adverts are authenticated by their HMAC',
  version: 'CARP has one version on the wire, 2',
  native_ipv6: 'a vhid may have addresses of both families',
  vmac_xmit_base: 'adverts carry the virtual MAC address',
  use_vmac_addr: 'the addresses are on the device with the virtual MAC already',
  preempt: 'this is the default',
  preempt_delay: 'a node takes its role back only when its states are proven equal, not after a time',
  garp_master_delay: ANNOUNCE,
  garp_master_repeat: ANNOUNCE,
  garp_master_refresh: ANNOUNCE,
  garp_master_refresh_repeat: ANNOUNCE,
  garp_lower_prio_delay: ANNOUNCE,
  garp_lower_prio_repeat: ANNOUNCE,
  lower_prio_no_advert: 'CARP answers a worse advert at once, by its own rule',
  higher_prio_send_advert: 'CARP answers a worse advert at once, by its own rule',
  skip_check_adv_addr: "the list of addresses is a part of the advert's signature",
  strict_mode: 'the CARP wire format is always strict',
  strict: 'the CARP wire format is always strict',
  accept: 'a virtual address answers like any other; the rules file decides',
  promote_secondaries: 'the virtual addresses are on a device of their own',
  debug: '[carp] log says how much is logged',
  old_unicast_checksum: 'CARP has no such variant',
  unicast_ttl: 'CARP always sends with TTL 255',
  kernel_rx_buf_size: 'Carpio sizes its buffers itself',
  linkbeat_use_polling: 'the kernel reports the link',
  linkbeat_interfaces: 'the kernel reports the link',
  dont_track_bfd: 'Carpio has no BFD',
};

export const INSTANCE_LEFT_OUT: Words = {
  dont_track_primary: 'Carpio always watches the link of an interface that has a vhid',
  vrf: 'Carpio knows no VRF',
  mcast_dst_ip: "CARP's groups are fixed: 224.0.0.18 and ff02::12",
  virtual_routes: ROUTES,
  virtual_rules: ROUTES,
  no_accept: 'write it as a rule: drop what is addressed to the virtual address',
  down_timer_adverts: TIMERS,
  garp_extra_if: 'Carpio announces on the interface of the vhid only',
  smtp_alert: MAIL,
  track_process: 'track the process with a script: kind = "script"',
  track_bfd: 'Carpio has no BFD; track the neighbour with a script: kind = "script"',
  track_file:
    'keepalived reads a number from the file, Carpio takes the file itself as a sign of trouble: kind = "file"',
  notify: HOOK,
  notify_master: HOOK,
  notify_backup: HOOK,
  notify_fault: HOOK,
  notify_stop: HOOK,
  notify_deleted: HOOK,
  notify_master_rx_lower_pri: HOOK,
  notify_priority_changes: HOOK,
  lvs_sync_daemon_interface: IPVS,
  unicast_fault_no_peer: 'with an empty peers list CARP uses multicast',
};

/** Blocks and statements at the top of the file. */
export const TOP_NOT_NEEDED: Words = {
  garp_group: ANNOUNCE,
  linkbeat_use_polling: 'the kernel reports the link',
  linkbeat_interfaces: 'the kernel reports the link',
  net_namespace: 'start Carpio in the namespace instead',
  namespace_with_ipsets: 'Carpio uses no ipset',
  instance: '[node] name',
  use_pid_dir: PROCESS,
  script_user: 'the scripts run as Carpio does',
  enable_script_security: 'Carpio runs no shell',
};

export const TOP_LEFT_OUT: Words = {
  virtual_server: IPVS,
  virtual_server_group: IPVS,
  SSL: IPVS,
  static_ipaddress: ROUTES,
  static_routes: ROUTES,
  static_rules: ROUTES,
  interface_up_down_delays: 'Carpio takes the link as the kernel reports it',
  vrrp_track_process: 'track the process with a script: kind = "script"',
  track_process: 'track the process with a script: kind = "script"',
  bfd_instance: 'Carpio has no BFD',
  include: 'not read: put its content into the file in its place and import again',
  includew: 'not read: put its content into the file in its place and import again',
  includer: 'not read: put its content into the file in its place and import again',
  includem: 'not read: put its content into the file in its place and import again',
  includea: 'not read: put its content into the file in its place and import again',
};

/** In global_defs; what is not here falls to the sweep. */
export function globalReason(name: string): { outcome: 'not needed' | 'left out'; why: string } | null {
  if (/^(notification_email|notification_email_from|smtp_|email_)/.test(name))
    return { outcome: 'left out', why: MAIL };
  if (
    /^(lvs_|checker_|bfd_|snmp_|enable_snmp|enable_traps|dbus_|enable_dbus|nftables|vrrp_iptables|vrrp_ipsets)/.test(
      name,
    )
  ) {
    return { outcome: 'left out', why: 'Carpio has no such part; the feed and /metrics show its state' };
  }
  if (/^(notify_fifo|vrrp_notify_fifo|startup_script|shutdown_script|notify_priority_changes)/.test(name))
    return { outcome: 'left out', why: HOOK };
  if (/^vrrp_(garp|gna)/.test(name)) return { outcome: 'not needed', why: ANNOUNCE };
  if (/^(vrrp_mcast_group[46]|mcast_src_ip)/.test(name))
    return { outcome: 'left out', why: "CARP's groups are fixed: 224.0.0.18 and ff02::12" };
  if (
    /^(vrrp_|max_auto_priority|min_auto_priority_delay|process_|checker|script_user|enable_script_security|use_pid_dir|dynamic_interfaces|log_|disable_local_igmp|reload_|child_wait_time|umask|instance|net_namespace|default_interface)/.test(
      name,
    )
  ) {
    return { outcome: 'not needed', why: PROCESS };
  }
  return null;
}
