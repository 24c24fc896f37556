# SPDX-License-Identifier: GPL-2.0
"""One run of the lab."""
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time

from . import LabError, build, checks, ivshmem
from .link import Gone, OutOfTime, Terminal, to_our_output
from .um import UserMode
from .vm import Vm

HOST, DPU = "1", "2"  # last byte of their addresses
PORT = 12345
# The machine itself: the loopback device's CID.
VSOCK_CID = 1
SHARED_MEMORY = 32 << 20
# How long to look before sleeping: an emulated processor is some twenty times as slow.
SPIN = 5000
# What the engine listens on beside TCP, and what is mounted.
CHANNELS = {
    "tcp": ("", "/"),
    "vsock": (f"vsock:any:{PORT}", f"vsock:{VSOCK_CID}:/"),
    "pcie": (f"pcie:0 --spin-us {SPIN}", "pcie:0:/"),
    "pcie-plain": (f"pcie:0 --spin-us {SPIN}", "pcie:0:/"),
}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Ready when it says so: last of all, how many threads it has.
START_ENGINE = """
ulimit -n 524288
case $QTFS_CHANNEL in
vsock)	modprobe -q vsock_loopback ;;	# built into some kernels
pcie*)	insmod "$QTFS_SERVER_KO" qtfs_log_level=WARN || exit ;;
esac
setsid engine 4096 16 --log-level info ${QTFS_LISTEN:+--listen $QTFS_LISTEN} --listen 0.0.0.0:%(port)d --insecure %(args)s \
	</dev/null >/run/qtfs-engine.log 2>&1 &
echo $! >/run/qtfs-engine.pid
until grep -q ' threads, ' /run/qtfs-engine.log; do
	[ -d /proc/$! ] || { cat /run/qtfs-engine.log; exit 1; }
	sleep 0.05
done
[ -d /proc/$! ] || { cat /run/qtfs-engine.log; exit 1; }
"""
ENGINE_STATE = r"""
echo "the engine, $([ -d /proc/$(cat /run/qtfs-engine.pid) ] && echo alive || echo gone):"
tail -n 20 /run/qtfs-engine.log
"""


def say(text):
    print(f"lab: {text}", file=sys.stderr, flush=True)


class Lab:
    def __init__(self, options):
        self.options = options
        self.dir = tempfile.mkdtemp(prefix="qtfs-lab.")
        self.vms = []
        self.memory = None
        self.env = {}

    @property
    def dpu(self):
        return self.vms[-1]

    @property
    def host(self):
        return self.vms[0]

    def close(self):
        for vm in self.vms:
            vm.stop()
        if self.memory:
            self.memory.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    # Boot

    def prepare(self):
        self.kernel = build.Kernel(self.options.kernel)
        self.host_kernel = build.Kernel(self.options.host_kernel)
        self.agent = build.agent()
        try:
            self.ko = build.module(self.kernel)
            self.server_ko = build.module(self.host_kernel, "qtfs_server")
            self.programs = build.programs()
        except LabError as e:
            if not self.options.bare:
                raise
            say(f"going on without: {e}")
            self.ko = self.server_ko = self.programs = "/nonexistent"
        self.selftests, self.kselftest = build.selftests(say)
        self.env = self.environment()

    def environment(self):
        one = self.options.one
        listen, source = CHANNELS[self.options.channel]
        return {
            "PATH": f"{self.programs}:{PATH}",
            "QTFS_KO": self.ko,
            "QTFS_SERVER_KO": self.server_ko,
            "QTFS_BUILD": self.programs,
            "QTFS_REPO": build.REPO,
            "QTFS_HOST_IP": "127.0.0.1" if one else f"10.0.0.{HOST}",
            "QTFS_CLIENT_IP": "127.0.0.1" if one else f"10.0.0.{DPU}",
            "QTFS_PORT": str(PORT),
            "QTFS_CHANNEL": self.options.channel,
            "QTFS_LISTEN": listen,
            "QTFS_SOURCE": source,
            "QTFS_SELFTESTS": self.selftests,
            "QTFS_KSELFTEST": self.kselftest,
            "QTFS_KERNEL": self.options.kernel,
            "TERM": os.environ.get("TERM", "dumb"),
        }

    def wires(self, end):
        """Two network links between the machines: one for qtfs, one for on-host."""
        devices = []
        for n in range(2):
            devices += [
                "-netdev", f"stream,id=n{n},server={'on' if end == HOST else 'off'},"
                           f"addr.type=unix,addr.path={self.dir}/net{n}",
                "-device", f"virtio-net-pci,netdev=n{n},mac=52:54:00:00:0{n}:0{end},romfile="]
        return devices + self.shared_memory()

    def shared_memory(self):
        if self.options.channel == "pcie":
            return ivshmem.device(f"{self.dir}/ivshmem")
        if self.options.channel == "pcie-plain":
            return ivshmem.plain(f"{self.dir}/memory", SHARED_MEMORY)
        return []

    def add_vm(self, name, kernel, settings, devices=()):
        kind = UserMode if kernel.is_um else Vm
        vm = kind(name, self.dir, kernel, self.options, self.agent)
        self.vms.append(vm)
        vm.start(settings, devices)
        return vm

    def boot(self):
        if self.options.channel == "pcie":
            self.memory = ivshmem.Server(f"{self.dir}/ivshmem", SHARED_MEMORY)
        srv = self.options.memory // 3
        if self.options.one:
            self.add_vm("both", self.kernel, {"srv": srv, "peer": "127.0.0.1"})
        else:
            host = self.add_vm("host", self.host_kernel,
                               {"srv": srv, "addr": HOST, "peer": f"10.1.0.{DPU}"}, self.wires(HOST))
            while not all(os.path.exists(f"{self.dir}/net{n}") for n in range(2)):
                if host.proc.poll() is not None:
                    raise LabError(f"host: QEMU ended\n{host.tail()}")
                time.sleep(0.02)
            self.add_vm("dpu", self.kernel, {"addr": DPU, "peer": f"10.1.0.{HOST}"},
                        self.wires(DPU))
        for vm in self.vms:
            vm.connect()

    # qtfs

    def mount(self):
        o = self.options
        self.host.link.must("starting the engine", START_ENGINE % {
            "port": PORT, "args": o.engine_args}, env=self.env)
        self.dpu.link.must(
            "loading the module", f"insmod $QTFS_KO {self.module_parameters()} "
            "qtfs_log_level=WARN; status=$?; "
            "[ $status = 0 ] || dmesg | tail -n 20; exit $status", env=self.env)
        try:
            self.mount_tree()
        except LabError as e:
            raise LabError(f"{e}\n{self.host.link.shell(ENGINE_STATE)[1]}") from e

    def module_parameters(self):
        if self.options.channel == "vsock":
            return f"qtfs_server_vsock_cid={VSOCK_CID} qtfs_server_vsock_port={PORT}"
        spin = f" qtfs_pcie_spin_us={SPIN}" if self.options.channel.startswith("pcie") else ""
        return f"qtfs_server_ip=$QTFS_HOST_IP qtfs_server_port={PORT}{spin}"

    def mount_tree(self):
        o = self.options
        extra = f"-o {shlex.quote(o.mount_options)}" if o.mount_options else ""
        self.dpu.link.must(
            "mounting", f"mount -t qtfs $QTFS_SOURCE /mnt/host {extra}; status=$?; "
            "[ $status = 0 ] || dmesg | tail -n 20; exit $status", env=self.env)

    def command(self):
        o = self.options
        if o.shell:
            return self.prompt()
        try:
            return self.dpu.link.run(o.command, to_our_output, cwd=os.getcwd(), env=self.env,
                                     timeout=o.timeout)
        except OutOfTime:
            say(f"no end after {o.timeout:g} s; what hangs on the dpu:")
            self.show_hung()
            return 124

    def prompt(self):
        say("the host's tree is at /mnt/host; `on-host COMMAND` runs there; ^D ends all")
        with Terminal(self.dpu.link) as terminal:
            rows, cols, _, _ = terminal.size()
            self.env["PS1"] = r"dpu:\w# "
            return self.dpu.link.run(["bash", "--norc"], to_our_output, cwd=os.getcwd(),
                                     env=self.env, timeout=1e9, size=f"{rows}x{cols}")

    def show_hung(self):
        try:
            print(self.dpu.links[1].shell(
                "ps axf -o pid,stat,wchan:24,args; dmesg -C; echo w >/proc/sysrq-trigger; dmesg",
                60)[1], file=sys.stderr)
        except (Gone, OutOfTime):
            print(self.dpu.tail(), file=sys.stderr)

    # Afterwards

    def keep_results(self):
        if self.options.results:
            self.host.link.shell("cp /run/qtfs-engine.log /results/ 2>/dev/null")

    def verify(self):
        """Everything to complain of, as lines."""
        complaints = []
        try:
            self.keep_results()
            complaints += checks.unload(self.dpu)
            complaints += checks.unload_server(self.host)
        except (Gone, OutOfTime):
            complaints += ["dpu: no longer answers"]
        for vm in self.vms:
            try:
                complaints += checks.kernel_log(vm)
            except (Gone, OutOfTime):
                complaints += [f"{vm.name}: no longer answers", *vm.tail().splitlines()]
        return complaints

    def run(self):
        self.prepare()
        self.boot()
        if not self.options.bare:
            self.mount()
        try:
            status = self.command()
        except Gone:
            say("the dpu went away")
            status = 1
        if status == 124 and not self.options.shell:
            complaints = [line for vm in self.vms for line in self.log_or_tail(vm)]
        else:
            complaints = self.verify()
        for line in complaints:
            print(line, file=sys.stderr)
        return status or (1 if complaints else 0)

    @staticmethod
    def log_or_tail(vm):
        try:
            return checks.kernel_log(vm)
        except (Gone, OutOfTime):
            return vm.tail().splitlines()


def interrupted(number, _):
    raise SystemExit(128 + number)


def main(options):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    lab = Lab(options)
    try:
        return lab.run()
    except (LabError, Gone, OutOfTime) as e:
        say(str(e) or type(e).__name__)
        for vm in lab.vms:
            for line in lab.log_or_tail(vm) if vm.links else []:
                print(line, file=sys.stderr)
        return 125
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        lab.close()
