# SPDX-License-Identifier: GPL-2.0
"""Runs commands in a VM through its agent, guest/labd.c, which has the protocol."""
import fcntl
import os
import select
import signal
import socket
import struct
import termios
import threading
import time
import tty

from . import LabError

START, STDIN, WINSIZE, STDOUT, STDERR, EXIT, READY = range(1, 8)
HEAD = struct.Struct("<II")


class Gone(Exception):
    """The VM, or its agent, went away."""


class OutOfTime(Exception):
    pass


class Link:
    """One serial port of a VM: one command at a time."""

    def __init__(self, sock):
        self.sock = sock

    @classmethod
    def to(cls, path):
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(path)
        except OSError:
            sock.close()
            raise
        return cls(sock)

    def close(self):
        self.sock.close()

    def send(self, kind, data=b""):
        try:
            self.sock.sendall(HEAD.pack(kind, len(data)) + data)
        except OSError as e:
            raise Gone(str(e)) from e

    def receive(self, size, end):
        data = b""
        while len(data) < size:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.sock], [], [], left)[0]:
                raise OutOfTime
            try:
                piece = self.sock.recv(size - len(data))
            except OSError as e:
                raise Gone(str(e)) from e
            if not piece:
                raise Gone("connection closed")
            data += piece
        return data

    def await_ready(self, timeout):
        kind, _ = HEAD.unpack(self.receive(HEAD.size, time.monotonic() + timeout))
        if kind != READY:
            raise Gone(f"frame {kind} instead of READY")

    def start(self, argv, cwd, env, size=""):
        words = [size or "-", cwd, *(f"{k}={v}" for k, v in env.items()), "", *argv]
        self.send(START, b"".join(os.fsencode(w) + b"\0" for w in words))
        if not size:
            self.send(STDIN)

    def run(self, argv, sink, *, cwd="/", env=None, timeout=120.0, size=""):
        """Calls sink(STDOUT or STDERR, bytes) as output comes; returns the exit status."""
        end = time.monotonic() + timeout
        self.start(argv, cwd, env or {}, size)
        while True:
            kind, length = HEAD.unpack(self.receive(HEAD.size, end))
            data = self.receive(length, end)
            if kind == EXIT:
                return struct.unpack("<I", data)[0]
            sink(kind, data)

    def shell(self, script, timeout=120.0, env=None):
        """Runs a bash script; returns (status, all its output)."""
        parts = []
        status = self.run(["bash", "-c", script], lambda _, data: parts.append(data), env=env,
                          timeout=timeout)
        return status, b"".join(parts).decode(errors="replace")

    def must(self, what, script, timeout=120.0, env=None):
        status, output = self.shell(script, timeout, env)
        if status:
            raise LabError(f"{what} failed, status {status}:\n{output}")
        return output


def to_our_output(kind, data):
    fd = 2 if kind == STDERR else 1
    while data:
        data = data[os.write(fd, data):]


class Terminal:
    """Lends our terminal to a command of a VM."""

    def __init__(self, link):
        self.link = link
        self.saved = None

    def size(self):
        rows, cols, x, y = struct.unpack("HHHH", fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * 8))
        return rows or 24, cols or 80, x, y

    def __enter__(self):
        self.saved = termios.tcgetattr(0)
        tty.setraw(0)
        signal.signal(signal.SIGWINCH, lambda *_: self.link.send(
            WINSIZE, struct.pack("HHHH", *self.size())))
        threading.Thread(target=self.pump, daemon=True).start()
        return self

    def pump(self):
        try:
            while data := os.read(0, 4096):
                self.link.send(STDIN, data)
        except (Gone, OSError):
            pass

    def __exit__(self, *_):
        signal.signal(signal.SIGWINCH, signal.SIG_DFL)
        termios.tcsetattr(0, termios.TCSADRAIN, self.saved)
