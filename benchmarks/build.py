"""Measures `invites build` beside an ordinary script, in one run and on one machine.

Run as `make bench`.  Ratios hold from machine to machine; absolute figures do not.
Everything is written to fresh folders on tmpfs, for disks differ more than programs do.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.roster import LANGUAGES, write_roster
from benchmarks.stages import stages

HERE = Path(__file__).parent
FILTERED = HERE / "filtered"
"""Templates that test and filter `attendee.name`, so that nothing of a letter can be shared."""

SETTINGS = """\
[jitsi]
url = "https://meet.example.com"
app_id = "my_app"
secret_env = "BENCH_SECRET"
[organizer]
name = "Meetings"
email = "meetings@example.com"
"""


COMPILED = tempfile.TemporaryDirectory()
"""Where the bytecode of all that is measured stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a process took: CPU seconds (user and system), wall seconds, MB at the most."""

    cpu: float
    wall: float
    peak_mb: float


def run(*command: str, environment: dict[str, str] | None = None) -> Cost:
    """Run a program to its end and return its cost."""
    before = os.times().elapsed
    # Compiled once, as what is installed is, also where the surroundings forbid it.
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": COMPILED.name}
    child = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, env={**os.environ, **compiled, **(environment or {})}
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{command[1]} ended with {child.returncode}")
    return Cost(
        cpu=usage.ru_utime + usage.ru_stime,
        wall=os.times().elapsed - before,
        peak_mb=usage.ru_maxrss / 1024,
    )


class Bench:
    """A scratch folder with the rosters and the settings."""

    def __init__(self, folder: Path) -> None:
        """Write the settings; the rosters are written as they are asked for."""
        self.folder = folder
        self.settings = folder / "invites.toml"
        self.settings.write_text(SETTINGS)

    def roster(
        self,
        attendees: int,
        per_meeting: int = 20,
        languages: tuple[str, ...] = ("",),
        recurrence: str = "",
    ) -> Path:
        """Return the roster with so many attendees, of these languages in turn."""
        shape = f"{attendees}-{per_meeting}-{len(languages)}-{recurrence.replace(' ', '-')}"
        path = self.folder / f"roster-{shape}.csv"
        if not path.exists():
            write_roster(
                path,
                attendees,
                per_meeting=per_meeting,
                languages=languages,
                recurrence=recurrence,
            )
        return path

    def build(
        self,
        attendees: int,
        *arguments: str,
        per_meeting: int = 20,
        jobs: int = 1,
        languages: tuple[str, ...] = ("",),
        recurrence: str = "",
    ) -> Cost:
        """Build once into a fresh folder."""
        out = Path(tempfile.mkdtemp(dir=self.folder))
        cost = run(
            sys.executable,
            "-m",
            "invites",
            "build",
            str(self.roster(attendees, per_meeting, languages, recurrence)),
            "--jobs",
            str(jobs),
            "--config",
            str(self.settings),
            "--out",
            str(out / "out"),
            *arguments,
            environment={"BENCH_SECRET": "0123456789abcdefghijklmnopqrstuvwxyz" * 2},
        )
        shutil.rmtree(out)
        return cost

    def ordinary(self, attendees: int, per_meeting: int = 20) -> Cost:
        """Do the same with the ordinary script."""
        out = Path(tempfile.mkdtemp(dir=self.folder))
        script = str(HERE / "ordinary.py")
        roster = str(self.roster(attendees, per_meeting))
        cost = run(sys.executable, script, roster, str(out / "out"))
        shutil.rmtree(out)
        return cost

    def floor(self, attendees: int) -> Cost:
        """Write as many bytes to as many files, from one buffer: nothing can cost less."""
        out = Path(tempfile.mkdtemp(dir=self.folder))
        script = str(HERE / "floor.py")
        cost = run(sys.executable, script, str(attendees), str(out / "out"))
        shutil.rmtree(out)
        return cost


def main() -> None:
    """Print the table that stands in docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attendees", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=100_000, help="rows for the memory figure")
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    parent = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - tmpfs is the point
    with tempfile.TemporaryDirectory(dir=parent) as scratch:
        report(Bench(Path(scratch)), given.attendees, given.many, given.repeat)


def report(bench: Bench, attendees: int, many: int, repeat: int) -> None:
    """Measure, alternating so that a change of the machine's load meets all alike, and print."""
    # Before the stages: a child's peak is never below what this process has when it starts it.
    large = {jobs: [bench.build(many, jobs=jobs) for _ in range(repeat)] for jobs in (1, 2)}
    measured: dict[str, Callable[[], Cost]] = {
        "an ordinary script, one file each": lambda: bench.ordinary(attendees),
        "the same for one-to-one meetings": lambda: bench.ordinary(attendees, 1),
        "`invites build`, two files each, checks included": lambda: bench.build(attendees),
        "5 attendees a meeting": lambda: bench.build(attendees, per_meeting=5),
        "2 attendees a meeting": lambda: bench.build(attendees, per_meeting=2),
        "one-to-one meetings": lambda: bench.build(attendees, per_meeting=1),
        "`--as tar`": lambda: bench.build(attendees, "--as", "tar"),
        "templates that filter and test `attendee.name`": lambda: bench.build(
            attendees, "--templates", str(FILTERED)
        ),
        "12 languages in each meeting of 20": lambda: bench.build(attendees, languages=LANGUAGES),
        "series of 20 weeks": lambda: bench.build(attendees, recurrence="weekly x 20"),
        "floor: as many bytes to as many files": lambda: bench.floor(attendees),
    }
    costs: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(repeat):
        for name, measure in measured.items():
            costs[name].append(measure().cpu)
    print(f"{attendees:,} attendees, CPU, median of {repeat}\n")
    print("| | µs an attendee | times ordinary |\n|---|---:|---:|")
    whole, alone = list(measured)[:2]
    for name, each in costs.items():
        base = costs[alone if "one-to-one" in name else whole]
        print(
            f"| {name} | {median(each) / attendees * 1e6:,.0f} | {median(base) / median(each):.1f} |"
        )
    print("\n| stage of invites build | µs an attendee |\n|---|---:|")
    for name, seconds in stages(bench.roster(attendees)):
        print(f"| {name} | {seconds / attendees * 1e6:,.1f} |")
    help_costs = [run(sys.executable, "-m", "invites", "--help").cpu for _ in range(11)]
    print(f"\n`invites --help`: {median(help_costs) * 1000:.0f} ms of CPU (median of 11)")
    for jobs, every in large.items():
        cpu, wall = (median(getattr(one, what) for one in every) for what in ("cpu", "wall"))
        print(
            f"{many:,} rows, --jobs {jobs}: {cpu / many * 1e6:,.0f} µs of CPU an attendee, "
            f"{wall:.1f} s on the wall, {max(one.peak_mb for one in every):,.0f} MB a process"
        )


if __name__ == "__main__":
    main()
