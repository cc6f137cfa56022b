"""The floor: as many bytes as a build writes, to as many files, and nothing else."""

from __future__ import annotations

import os
import sys

EML = b"x" * 15_000
ICS = b"x" * 2_500
PER_MEETING = 20
FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL


def main(attendees: int, out: str) -> None:
    """Write two files for each of so many attendees, a folder for every twenty."""
    os.mkdir(out)  # noqa: PTH102 - the cheapest calls are the point
    for meeting in range(0, attendees, PER_MEETING):
        folder = f"{out}/{meeting}"
        os.mkdir(folder)  # noqa: PTH102
        descriptor = os.open(folder, os.O_RDONLY)
        for seat in range(min(PER_MEETING, attendees - meeting)):
            for name, content in ((f"{seat}.eml", EML), (f"{seat}.ics", ICS)):
                file = os.open(name, FLAGS, 0o600, dir_fd=descriptor)
                os.write(file, content)
                os.close(file)
        os.close(descriptor)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
