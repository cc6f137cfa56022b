"""A dead man's switch: a job's `ping` URL hears when a run begins and how it ended.

Whoever listens there notices what no mail can tell: that nothing runs any more.
"""

from __future__ import annotations

import logging
import threading
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from invites import __version__
from invites.report.log import record

if TYPE_CHECKING:
    from invites.jobs.options import WakeUp
    from invites.settings import Job

TIMEOUT_SECONDS = 5.0
"""A run waits so long for each ping at most, name look-up included."""


class Signal(StrEnum):
    """What is said, as what stands behind the URL."""

    START = "/start"
    SUCCESS = ""
    FAILURE = "/fail"


def ping(wakeup: WakeUp, job: Job, signal: Signal) -> None:
    """Tell the job's `ping` URL; what goes wrong here changes nothing else.

    Nothing but the URL itself is said: no name, no address, no count.
    """
    if not job.ping or wakeup.options.simulated or wakeup.options.dry_run:
        return
    failures: list[str] = []
    # The timeout of a socket does not count the look-up of a name; the thread's does.
    thread = threading.Thread(
        target=_say, args=(job.ping.rstrip("/") + signal, failures), name="ping", daemon=True
    )
    thread.start()
    thread.join(TIMEOUT_SECONDS)
    if thread.is_alive():
        failures.append(f"no answer within {TIMEOUT_SECONDS:.0f} seconds")
    if failures:
        wakeup.tell(
            record(
                event="ping_failed",
                level=logging.INFO,
                text=f"job {job.name}: ping could not be told: {failures[0]}",
                facts={"job": job.name},
            )
        )


class _NoRedirect(HTTPRedirectHandler):
    """A URL that is a secret goes to nobody but the one whom the settings name."""

    def redirect_request(self, *_: object) -> None:
        return None


def _say(url: str, failures: list[str]) -> None:
    request = Request(url, headers={"User-Agent": f"invites/{__version__}"})  # noqa: S310 - checked by the settings
    try:
        with build_opener(_NoRedirect).open(request, timeout=TIMEOUT_SECONDS):
            pass
    except HTTPError as error:
        with error:
            failures.append(f"it answered {error.code}")
    except Exception as error:  # noqa: BLE001 - and the URL may stand in the error's text
        failures.append(type(error).__name__)
