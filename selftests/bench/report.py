# SPDX-License-Identifier: GPL-2.0
"""What the measurements of one run say: as tables and as a plot."""
import html
import math
import os
import re
import statistics
import subprocess

REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

# Operation, in words, and what its time should be at most, as a part of NFS's.
ROWS = [
    ("stat_cold", "stat, cold", 0.9),
    ("stat_hot", "stat, hot", None),
    ("open_cold", "open + read 4 KiB + close, cold", 0.4),
    ("open_hot", "open + read 4 KiB + close, hot", None),
    ("create", "create + write 4 KiB + close", 0.5),
    ("rename", "rename", None),
    ("unlink", "unlink", None),
    ("mkdir", "mkdir", None),
    ("rmdir", "rmdir", None),
    ("readdir_cold", "readdir of {entries} entries, cold", None),
    ("list_cold", "readdir + stat of {entries} entries, cold", None),
    ("walk_cold", "walk of a tree, an entry, cold", None),
    ("read_cold", "sequential read, {mib} MiB, cold", 1.0),
    ("write_fsync", "sequential write, {mib} MiB, fsync", 1.0),
    ("append_fsync", "append of 128 bytes, fsync", None),
    ("direct_random", "random read of 4 KiB, O_DIRECT", None),
    ("direct_threads", "the same, 16 threads", None),
    ("mmap_random", "random page of a mapped file, cold", None),
]
# What goes over the bare link in its place, how many times as long it should take at most, and
# how many times as fast it should be at least over shared memory.
LIMITS = {
    "stat_cold": ("raw_64", 1.25, 10), "open_cold": ("raw_4k_in", 1.35, 10),
    "create": ("raw_4k_out", 2.6, 10), "rename": ("raw_64", 1.3, 10),
    "unlink": ("raw_64", 1.3, 10), "mkdir": ("raw_64", 1.3, 10),
    "list_cold": (None, None, 5), "read_cold": ("raw_stream_in", 1.11, None),
    "write_fsync": ("raw_stream_out", 1.11, None), "direct_random": ("raw_4k_in", 1.25, 10),
    "direct_threads": (None, None, 10), "mmap_random": (None, None, 10),
}
SIDES = {"qtfs": "qtfs, TCP", "nfs": "NFSv4.2", "pcie": "qtfs, PCIe", "local": "local ext4"}
RAW = {"raw_64": "64 bytes there and back", "raw_4k_in": "128 bytes there, 4 KiB back",
       "raw_4k_out": "4 KiB there, 128 bytes back", "raw_stream_in": "32 MiB back",
       "raw_stream_out": "32 MiB there"}

# The plot
WIDTH, ROW, TOP, LEFT, RIGHT = 860, 30, 64, 290, 80
LOW, HIGH = 0.1, 20.0
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
BETTER, WORSE, INK, FAINT = "#2b7a78", "#c4622d", "#222", "#bbb"


def output_of(*command):
    return subprocess.run(command, cwd=REPO, stdout=subprocess.PIPE, text=True,
                          check=True).stdout.strip()


def processor():
    with open("/proc/cpuinfo", encoding="ascii") as f:
        names = re.findall(r"^model name\s*: (.*)$", f.read(), re.M)
    return f"{len(names)} × {names[0]}" if names else "unknown"


def commit():
    head = output_of("git", "rev-parse", "--short=12", "HEAD")
    changed = output_of("git", "status", "--porcelain", "--untracked-files=no", "--", "kmod",
                        "include", "userspace")
    return head + (" with changes" if changed else "")


def replace_section(page, name, text):
    """Puts @text between the marks @name and "end" of a page."""
    with open(page, encoding="utf-8") as f:
        old = f.read()
    new, count = re.subn(rf"(<!-- {name} -->\n).*?(<!-- end -->\n)",
                         lambda m: f"{m[1]}\n{text}\n{m[2]}", old, flags=re.S)
    if count != 1:
        raise SystemExit(f"bench: no marks {name!r} in {page}")
    with open(page, "w", encoding="utf-8") as f:
        f.write(new)


def spread(values):
    """Half of what lies between the extremes, in per cent of the median."""
    return 50 * (max(values) - min(values)) / statistics.median(values)


def median_of(ratios):
    """For people, with the extremes."""
    if not ratios:
        return ""
    return f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f}–{max(ratios):.2f})"


def verdict(ratios, target, least=False):
    if target is None:
        return ""
    median = statistics.median(ratios)
    met = median >= target if least else median <= target
    return f"{'≥' if least else '≤'} {target:g}: {'met' if met else 'missed'}"


class Results:
    """The measurements of one run."""

    def __init__(self, run):
        self.run = run
        self.timed = {}
        self.counted = {}
        for line in run["measurements"]:
            key = line["op"], line["side"]
            if line["round"]:
                self.timed.setdefault(key, []).append(line)
            else:
                self.counted[key] = line
        self.rows = [(op, words.format(**run), target) for op, words, target in ROWS
                     if (op, "qtfs") in self.timed]

    def times(self, op, side):
        """Nanoseconds of one operation, by round."""
        return [line["ns"] / line["count"] for line in self.timed[op, side]]

    def ratios(self, op, side="qtfs", to="nfs"):
        return [a / b for a, b in zip(self.times(op, side), self.times(op, to))]

    def to_raw(self, op, raw):
        """The same against the bare link; what streams, by byte."""
        each = self.timed[raw, "raw"][0]["bytes"] or 1
        ours = self.timed[op, "qtfs"][0]["bytes"] or 1
        return [a / ours * each / b for a, b in zip(self.times(op, "qtfs"),
                                                    self.times(raw, "raw"))]

    def value(self, op, side):
        """For people: the median and the spread."""
        times = self.times(op, side)
        size = self.timed[op, side][0]["bytes"]
        if size:
            rates = [size / t * 1e9 / (1 << 20) for t in times]
            return f"{statistics.median(rates):.3g} MiB/s ±{spread(rates):.0f}%"
        median = statistics.median(times)
        for unit, scale in (("ms", 1e6), ("µs", 1e3)):
            if median >= scale:
                break
        return f"{median / scale:.3g} {unit} ±{spread(times):.0f}%"

    def requests(self, op, side):
        line = self.counted[op, side]
        each = {name: n / line["count"] for name, n in line["requests"].items()}
        names = sorted((n for n in each if each[n] >= 0.05), key=lambda n: (-each[n], n))
        return ", ".join(f"{each[n]:.3g} {n}" for n in names) or "none"

    def against_nfs(self):
        out = ["| operation | " + " | ".join(SIDES.values()) +
               " | time, qtfs over TCP / NFS | target |",
               "|---|" + "---:|" * (len(SIDES) + 1) + "---|"]
        for op, words, target in self.rows:
            ratios = self.ratios(op)
            out.append(f"| {words} | " + " | ".join(self.value(op, side) for side in SIDES) +
                       f" | {median_of(ratios)} | {verdict(ratios, target)} |")
        return out

    def against_limits(self):
        out = ["| operation | time, TCP / bare link | target | time, TCP / shared memory | target |",
               "|---|---:|---|---:|---|"]
        for op, words, _ in self.rows:
            raw, most, least = LIMITS.get(op, (None, None, None))
            links = self.to_raw(op, raw) if raw else []
            channels = self.ratios(op, "qtfs", "pcie")
            out.append(f"| {words} | {median_of(links)} | {verdict(links, most)} | "
                       f"{median_of(channels)} | {verdict(channels, least, least=True)} |")
        return out

    def against_peers(self):
        others = {name: words for name, words in self.run.get("peers", {}).items()
                  if name != "nfs"}
        if not others:
            return []
        out = ["", "Against other network filesystems, time of qtfs over TCP as a part of theirs:",
               "", "| operation | " + " | ".join(others.values()) + " |",
               "|---|" + "---:|" * len(others)]
        for op, words, _ in self.rows:
            out.append(f"| {words} | " + " | ".join(
                f"{median_of(self.ratios(op, to=name))} of {self.value(op, name)}"
                for name in others) + " |")
        return out

    def tables(self):
        out = self.against_nfs()
        out += self.against_peers()
        out += ["", "Against what the channels can do:", "", *self.against_limits()]
        out += ["", "The TCP link without any filesystem, a blocking process at each end:", "",
                "| there and back | |", "|---|---:|"]
        out += [f"| {words} | {self.value(op, 'raw')} |" for op, words in RAW.items()
                if (op, "raw") in self.timed]
        out += ["", "The same through a unix socket in the tree, to a program of the server:", "",
                "| there and back | | time, socket / TCP |", "|---|---:|---:|"]
        out += [f"| {words} | {self.value(op, 'socket')} | "
                f"{median_of(self.ratios(op, 'socket', 'raw'))} |" for op, words in RAW.items()
                if (op, "socket") in self.timed]
        out += ["", "Requests of one operation, counted in a round of their own:", "",
                "| operation | qtfs | NFSv4.2 |", "|---|---|---|"]
        for op, words, _ in self.rows:
            out.append(f"| {words} | {self.requests(op, 'qtfs')} | {self.requests(op, 'nfs')} |")
        return "\n".join(out) + "\n"

    def plot(self):
        height = TOP + ROW * len(self.rows) + 42
        out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
               f'width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="13">',
               f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
               text(16, 26, "Time of qtfs as a part of NFSv4.2's: left of 1 is faster", "start",
                    'font-size="16" font-weight="bold"'),
               text(16, 46, f"Medians and extremes of {self.run['rounds']} rounds, two virtual "
                    "machines in software emulation; a triangle is a target", "start")]
        bottom = TOP + ROW * len(self.rows)
        for tick in TICKS:
            x, one = place(tick), tick == 1
            out += [line(x, TOP - 4, x, bottom, INK if one else FAINT, 1.5 if one else 0.7),
                    text(x, bottom + 18, f"{tick:g}×")]
        for i, (op, words, target) in enumerate(self.rows):
            out += self.bar(op, words, target, TOP + ROW * i + ROW / 2)
        return "\n".join([*out, "</svg>"]) + "\n"

    def bar(self, op, words, target, y):
        ratios = self.ratios(op)
        median = statistics.median(ratios)
        colour = BETTER if median <= 1 else WORSE
        x, one, low, high = (place(r) for r in (median, 1, min(ratios), max(ratios)))
        out = [text(LEFT - 14, y + 4, words, "end"),
               f'<rect x="{min(x, one):.1f}" y="{y - 8}" width="{abs(x - one):.1f}" height="16" '
               f'fill="{colour}"/>',
               line(low, y, high, y, INK, 1.2), line(low, y - 4, low, y + 4, INK, 1.2),
               line(high, y - 4, high, y + 4, INK, 1.2),
               text(WIDTH - 16, y + 4, f"{median:.2f}", "end", 'font-weight="bold"')]
        if target:
            t = place(target)
            out.append(f'<path d="M{t - 5:.1f} {y - 14}h10l-5 8z" fill="{INK}"/>')
        return out


def place(ratio):
    part = math.log(min(max(ratio, LOW), HIGH) / LOW) / math.log(HIGH / LOW)
    return LEFT + part * (WIDTH - LEFT - RIGHT)


def line(x1, y1, x2, y2, colour, width):
    return (f'<line x1="{x1:.1f}" y1="{y1}" x2="{x2:.1f}" y2="{y2}" stroke="{colour}" '
            f'stroke-width="{width}"/>')


def text(x, y, words, anchor="middle", more=""):
    return (f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" fill="{INK}" {more}>'
            f'{html.escape(words)}</text>')
