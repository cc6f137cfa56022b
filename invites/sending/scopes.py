"""Which scope a roster by hand speaks for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from invites.roster.source import may_read

if TYPE_CHECKING:
    from invites.settings import Settings
    from invites.settings.sections import Job

DEFAULT_SCOPE = "default"


class Scope(NamedTuple):
    """A scope's name, and what somebody should know of how it was found ("" for nothing)."""

    name: str
    warning: str = ""


def scope_for(source: str, settings: Settings) -> Scope:
    """Return the scope of the one job whose `roster` matches the file, else `default`.

    `source` is the roster as the user gave it; `-` matches no job.
    """
    jobs = [job for job in settings.jobs if source != "-" and may_read(job.source(), Path(source))]
    match jobs:
        case []:
            return Scope(DEFAULT_SCOPE)
        case [job]:
            return Scope(job.name, _part_of(job))
        case _:
            names = ", ".join(f'"{job.name}"' for job in jobs)
            return Scope(
                DEFAULT_SCOPE,
                f'the jobs {names} read this roster, so it is sent for scope "{DEFAULT_SCOPE}"; '
                "--scope NAME names another",
            )


def _part_of(job: Job) -> str:
    """Return the warning that a job's other files are missing from a roster of one of them."""
    if len(job.roster) == 1:
        return ""
    return (
        f'this is one of the {len(job.roster)} rosters of job "{job.name}": who is in another one '
        "alone counts as missing; --partial withdraws nobody"
    )
