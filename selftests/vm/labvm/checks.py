# SPDX-License-Identifier: GPL-2.0
"""What must hold of both kernels after a command, whatever its outcome."""
import re

from .build import VM_DIR

# One extended regular expression a line; lib.sh uses it too.
with open(f"{VM_DIR}/bad-messages", encoding="ascii") as messages:
    BAD = re.compile("|".join(messages.read().splitlines()))
# Emulated processors, several machines on few real ones.
HARMLESS = re.compile(r"clocksource|perf: interrupt took too long|hrtimer: interrupt took")
CONTEXT = 25

# kmemleak reports what is older than 5 s and has not changed since the scan
# before. One scan before the module goes, two after, find what it lost while it
# ran as well as what it forgot on its way out.
LEAK_SCAN = r"""
cd /sys/kernel/debug && [ -w kmemleak ] || exit 0
echo scan >kmemleak
cat kmemleak
"""
LEAK_SETTLE = "sleep 5\n"
SYMBOLS = r"grep ' [tT] .*\[qtfs\]$' /proc/kallsyms"
# By its name, or an address that has none any more.
LEAK_OURS = re.compile(r"qtfs|^\s+0x[a-f0-9]{8,16}$", re.M)

UNLOAD = r"""
for try in 1 2 3; do
	umount -a -t qtfs && break
	[ "$try" -lt 3 ] || { fuser -vm /mnt/host; exit 1; }
	sleep 1
done
"""
UNLOAD_SERVER = r"""
grep -q '^qtfs_server ' /proc/modules || exit 0
pid=$(cat /run/qtfs-engine.pid)
kill "$pid" 2>/dev/null
while [ -d "/proc/$pid" ]; do sleep 0.1; done
rmmod qtfs_server
"""
RMMOD = r"""
grep -q '^qtfs ' /proc/modules || exit 0
rmmod qtfs
"""


def bad_lines(text):
    """The lines to complain of, each with what follows it."""
    lines = text.splitlines()
    keep = set()
    for i, line in enumerate(lines):
        if BAD.search(line) and not HARMLESS.search(line):
            keep.update(range(max(0, i - 1), min(len(lines), i + CONTEXT)))
    return [lines[i] for i in sorted(keep)]


def kernel_log(vm):
    """Complaints of a machine's kernel; also of one that no longer answers."""
    with open(vm.console, errors="replace", encoding="utf-8") as f:
        text = f.read()
    if vm.proc.poll() is None:
        text = vm.links[1].shell("dmesg", 60)[1]
    bad = bad_lines(text)
    return [f"{vm.name}: its kernel complained:", *bad] if bad else []


def unload(vm):
    status, output = vm.link.shell(UNLOAD, 300)
    if status:
        return [f"{vm.name}: cannot unmount:", *output.splitlines()]
    if not vm.link.shell("dmesg | grep qtfs")[1]:
        return []
    names = symbols(vm.link.shell(SYMBOLS)[1])
    if vm.kernel.is_debug:
        vm.link.shell(LEAK_SETTLE + LEAK_SCAN, 300)
    status, output = vm.link.shell(RMMOD, 120)
    if status:
        return [f"{vm.name}: the module does not unload:", *output.splitlines()]
    return leaks(vm, names) if vm.kernel.is_debug else []


def unload_server(vm):
    status, output = vm.link.shell(UNLOAD_SERVER, 120)
    return [f"{vm.name}: the server's module does not unload:", *output.splitlines()] if status else []


def leaks(vm, names):
    output = vm.link.shell(LEAK_SETTLE + LEAK_SCAN + LEAK_SCAN, 300)[1]
    reports = dict.fromkeys(re.split(r"^(?=unreferenced object)", output, flags=re.M))
    ours = [name_addresses(r, names) for r in reports if LEAK_OURS.search(r)]
    return [f"{vm.name}: kmemleak:", *"".join(ours).splitlines()] if ours else []


def symbols(kallsyms):
    """(address, name) of the module, to name its addresses when it is gone."""
    lines = (line.split() for line in kallsyms.splitlines())
    return sorted((int(words[0], 16), words[2]) for words in lines if len(words) > 2)


def name_addresses(report, names):
    def name(match):
        address = int(match[0], 16)
        below = [n for a, n in names if a <= address]
        return f"{match[0]} {below[-1]} [qtfs]" if below else match[0]
    return re.sub(r"0x[a-f0-9]{8,16}$", name, report, flags=re.M)
