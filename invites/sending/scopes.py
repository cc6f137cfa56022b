"""Which scope a roster by hand speaks for."""

from __future__ import annotations

from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from invites.settings import Settings
    from invites.settings.paths import RosterPath
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
    jobs = [job for job in settings.jobs if source != "-" and _matches(Path(source), job)]
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


def _matches(source: Path, job: Job) -> bool:
    """Tell whether a file is one that the job could take for its roster."""
    path = source.resolve()
    return any(place.path.resolve() == path or _is_in(path, place) for place in job.roster)


def _is_in(path: Path, place: RosterPath) -> bool:
    """Tell whether a pattern finds the file, by the very rules by which a job looks for one."""
    if not place.is_pattern:
        return False
    found = glob(place.pattern, recursive=True)  # noqa: PTH207 - the rules that jobs find by
    return any(Path(name).resolve() == path for name in found)
