"""What the kernel knows of its clock: whether something keeps it right (adjtimex(2))."""

from __future__ import annotations

import ctypes
import sys

_TIME_ERROR = 5
_OCTETS_OF_TIMEX = 512
"""More than struct timex has anywhere; all zero asks without changing anything."""


def clock_is_synchronised() -> bool | None:
    """Tell whether the kernel takes its clock for synchronised; None where it can't be asked."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        answer = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_OCTETS_OF_TIMEX))
    except (AttributeError, OSError):
        return None
    return None if answer < 0 else answer != _TIME_ERROR
