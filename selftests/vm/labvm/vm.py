# SPDX-License-Identifier: GPL-2.0
"""One virtual machine: QEMU in software emulation, this machine's / as its root."""
import ctypes
import fcntl
import os
import signal
import subprocess
import threading
import time

from . import LabError
from .build import BUILD, CACHE, VM_DIR
from .link import Gone, Link, OutOfTime

PORTS = 2  # of the agent: one for the command, one to look around meanwhile
# A machine that cannot boot panics, which ends QEMU: this is for slow ones.
BOOT_TIMEOUT = 600

# erms=off: the emulation runs "rep movsb" byte by byte. The rest is for speed, not of
# interest except where a kernel is to be tested for its own sake.
CPU_FAST = "max,la57=off,erms=off,pku=off,smap=off,smep=off"
CPU_DEBUG = "max,la57=off,erms=off,pku=off"


# Processors that really run at once may execute an instruction that the kernel
# is just patching (its static keys), which the emulation gets wrong: an oops.
def threads(processors):
    return "multi" if processors == 1 else "single"


def die_with_parent():
    """QEMU must not outlive a lab that was killed."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def claim_processor():
    """(a processor that no other machine of a lab has, what keeps it), or any and None."""
    processors = sorted(os.sched_getaffinity(0))
    for n in processors:
        lock = open(f"{CACHE}/processor-{n}.lock", "w", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return n, lock
        except BlockingIOError:
            lock.close()
    return processors[-1], None


class Vm:
    def __init__(self, name, run_dir, kernel, options, agent):
        self.name, self.dir, self.kernel, self.options = name, run_dir, kernel, options
        self.agent = agent
        self.console = f"{run_dir}/{name}.console"
        self.proc = None
        self.links = []
        self.processor, self.lock = claim_processor() if options.smp == 1 else (None, None)

    def kernel_arguments(self, settings):
        # norandmaps: QEMU translates a library again for each address it is loaded at, which
        # makes a process take twice as long to start.
        words = [*self.machine_arguments(), "panic=-1", "oops=panic", "norandmaps", "audit=0",
                 "init_on_alloc=0", "hardened_usercopy=off", "randomize_kstack_offset=off",
                 "rcupdate.rcu_expedited=1", "log_buf_len=4M", "printk.devkmsg=on",
                 "ignore_loglevel" if self.options.verbose else "quiet loglevel=5",
                 "brd.rd_nr=1", f"brd.rd_size={settings.get('srv', 0) * 1024}"]
        settings = {"name": self.name, "agent": self.agent, "setup": f"{VM_DIR}/guest/setup",
                    "build": BUILD, **settings}
        if self.kernel.modules:
            settings["modules"] = self.kernel.modules
        if self.options.results:
            settings["results"] = "1"
        return " ".join(words + [f"lab.{k}={v}" for k, v in settings.items()])

    def machine_arguments(self):
        words = ["console=ttyS0", "nokaslr", "tsc=reliable", "no_timer_check", "random.trust_cpu=on"]
        return words if self.kernel.is_debug else [*words, "mitigations=off"]

    def share(self, tag, path, more=""):
        return ["-fsdev", f"local,id={tag},path={path},security_model=none,multidevs=remap{more}",
                "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]

    def port(self, number):
        return f"{self.dir}/{self.name}.agent{number}"

    def command_line(self, settings, devices):
        o = self.options
        args = ["qemu-system-x86_64", "-name", self.name, "-nodefaults", "-no-user-config",
                "-display", "none", "-no-reboot",
                "-machine", "q35,usb=off,sata=off,smbus=off,vmport=off", "-m", str(o.memory),
                "-accel", f"tcg,thread={threads(o.smp)}", "-smp", str(o.smp),
                "-cpu", CPU_DEBUG if self.kernel.is_debug else CPU_FAST,
                "-kernel", f"{self.kernel.dir}/vmlinux",
                "-initrd", f"{self.kernel.dir}/initrd.gz",
                "-append", self.kernel_arguments(settings),
                "-serial", f"file:{self.console}",
                "-object", "rng-random,id=rng,filename=/dev/urandom",
                "-device", "virtio-rng-pci,rng=rng",
                "-device", "virtio-serial-pci",
                *self.share("root", "/", ",readonly=on")]
        if o.results:
            args += self.share("results", os.path.realpath(o.results))
        for i in range(PORTS):
            args += ["-chardev", f"socket,id=agent{i},path={self.port(i)},server=on,wait=off",
                     "-device", f"virtserialport,chardev=agent{i},name=lab.{i}"]
        return args + devices

    def start(self, settings, devices=()):
        with open(f"{self.dir}/{self.name}.qemu", "wb") as log:
            self.spawn(self.command_line(settings, list(devices)), log)
        if self.options.verbose:
            threading.Thread(target=self.show_console, daemon=True).start()

    def spawn(self, argv, log, **more):
        self.proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     start_new_session=True, preexec_fn=self.before_exec, **more)

    def before_exec(self):
        die_with_parent()
        # A machine's threads or processes take turns. Where they do so on two processors, each
        # has to wake up the other's, which takes much longer than what they have to do.
        if self.processor is not None:
            os.sched_setaffinity(0, {self.processor})

    def show_console(self):
        while not os.path.exists(self.console):
            time.sleep(0.1)
        with open(self.console, "rb") as f:
            while self.proc.poll() is None:
                for line in f:
                    os.write(2, f"[{self.name}] ".encode() + line.rstrip(b"\r\n") + b"\n")
                time.sleep(0.2)

    def connect(self):
        """Waits until the agent answers."""
        end = time.monotonic() + BOOT_TIMEOUT
        while len(self.links) < PORTS:
            if self.proc.poll() is not None:
                raise LabError(f"{self.name}: QEMU ended\n{self.tail()}")
            try:
                self.links.append(Link.to(self.port(len(self.links))))
            except OSError as e:
                if time.monotonic() > end:
                    raise LabError(f"{self.name}: {e}\n{self.tail()}") from e
                time.sleep(0.05)
        self.await_agent()

    def await_agent(self):
        try:
            self.links[0].shell("true", BOOT_TIMEOUT)
        except (Gone, OutOfTime) as e:
            raise LabError(f"{self.name} did not boot\n{self.tail()}") from e

    @property
    def link(self):
        return self.links[0]

    def tail(self):
        text = ""
        for path in (f"{self.dir}/{self.name}.qemu", self.console):
            try:
                with open(path, errors="replace", encoding="utf-8") as f:
                    text += "".join(f.readlines()[-40:])
            except OSError:
                pass
        return text

    def stop(self):
        if self.proc and self.proc.poll() is None:
            self.proc.kill()
        if self.proc:
            self.proc.wait()
        for link in self.links:
            link.close()
        if self.lock:
            self.lock.close()
