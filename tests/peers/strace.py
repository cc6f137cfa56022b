"""strace(1) as a saboteur: kills a process at its Nth call of a kind, or lets that call fail.

strace counts the calls of each thread apart, so the program has to work in one thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Injection:
    """One fault: `call` is the system call's name, `number` counts from 1.

    `fault` is `KILL` or an error's name.  With `lasting` every later call fails too, as on a disk
    that stays full.
    """

    call: str
    fault: str
    number: int
    lasting: bool = False

    def command(self, log: Path, *command: str) -> tuple[str, ...]:
        """Return the command line that runs `command` with this fault."""
        what = "signal=KILL" if self.fault == "KILL" else f"error={self.fault}"
        when = f"{self.number}+" if self.lasting else str(self.number)
        # --seccomp-bpf spares the other calls a stop; of signals it loses some (strace 6.1).
        quickly = () if self.fault == "KILL" else ("--seccomp-bpf",)
        traced = ("-f", *quickly, "-o", str(log), "-e", f"trace={self.call}")
        return ("strace", *traced, "-e", f"inject={self.call}:{what}:when={when}", *command)

    def struck(self, log: Path) -> bool:
        """Whether the process got as far as this call."""
        said = log.read_text("utf-8", errors="replace")
        return "(INJECTED)" in said or "killed by SIGKILL" in said

    def __str__(self) -> str:
        """Return the fault in words."""
        return f"{self.fault} at {self.call} {self.number}{' and after' if self.lasting else ''}"
