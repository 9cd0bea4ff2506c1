#!/bin/bash
# Runs inside the container of deb.mjs, as root under systemd: what the package promises. One line a finding.
ok() { echo "PROMISE kept: $*"; }
bad() { echo "PROMISE BROKEN: $*"; }
wait_for() { for _ in $(seq 400); do eval "$1" && return 0; sleep 0.1; done; return 1; }
check() { if wait_for "$2"; then ok "$1"; else bad "$1"; fi; }
held='ip -br addr show up | grep -q "UP.*192.168.77.1/24"'
main_pid() { systemctl show -p MainPID --value carpio; }

check 'the unit is active (it said READY)' 'systemctl is-active -q carpio'
check 'the status line names the role' 'systemctl show -p StatusText carpio | grep -q master'
pid=$(main_pid)
[ "$(stat -c %U "/proc/$pid")" = carpio ] && ok 'it is not root' || bad 'it is not root'
# NET_ADMIN 12, NET_RAW 13, SYS_NICE 23
grep -q '^CapEff:\s*0000000000803000$' "/proc/$pid/status" && ok 'three capabilities' || bad 'three capabilities'
[ "$(awk '{print $40, $41}' "/proc/$pid/stat")" = '10 2' ] && ok 'election thread is SCHED_RR 10' || bad 'election thread is SCHED_RR 10'
check 'the virtual address is there' "$held"
[ "$(cat /proc/sys/net/ipv4/ip_forward)" = 1 ] && ok 'forwarding is on' || bad 'forwarding is on'
nft list table inet carpio > /dev/null && ok 'its table of rules stands' || bad 'its table of rules stands'
systemctl reload carpio
check 'a reload is done' 'journalctl -u carpio -o cat | grep -q node.reload'

kill -STOP "$pid"
check 'hung: the address goes' "! $held"
check 'hung: the watchdog has it started again' '[ "$(main_pid)" != '"$pid"' ] && systemctl is-active -q carpio'
check 'after that: the address is back' "$held"
pid=$(main_pid)
kill -KILL "$pid"
check 'killed: the address goes' "! $held"
check 'killed: started again, the address is back' '[ "$(main_pid)" != '"$pid"' ] && '"$held"
systemctl stop carpio && ok 'it stops' || bad 'it stops'
eval "$held" && bad 'stopped: the address is gone' || ok 'stopped: the address is gone'
dpkg -r carpio > /dev/null && ok 'the package can be removed' || bad 'the package can be removed'
[ -f /etc/carpio/carpio.toml ] && ok 'the configuration stays' || bad 'the configuration stays'
journalctl -u carpio -o cat --no-pager > /root/journal.txt
systemctl poweroff
