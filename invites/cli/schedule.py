"""`invites schedule`: stays in the foreground and runs the jobs when they are due."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invites.cli.options import Call, clock
from invites.errors import Exit

if TYPE_CHECKING:
    from invites.settings import Settings


def schedule(
    call: Call,
) -> int:
    """Stay in the foreground and run the jobs when they are due; SIGHUP reads the settings again.

    SIGTERM finishes the message in hand and ends: 0, or 75 where a run has to go on later.
    """
    import logging
    import os
    import time

    from invites import settings as settings_package
    from invites.cli.output import log_of
    from invites.cli.signals import Signals
    from invites.jobs.schedule import Schedule
    from invites.report.log import record
    from invites.sending import Effects

    tell = log_of(call)

    def load() -> Settings:
        settings = settings_package.load(call.config, environ=os.environ)
        log_of(call, timezone=settings.roster.timezone)
        for warning in settings.warnings:
            tell(record("setting", warning, level=logging.WARNING))
        return settings

    calls = Signals()
    effects = Effects(clock=clock, timer=time.monotonic, stop=calls.stop, pause=calls.pause)
    waiting = Schedule(load, effects=effects, calls=calls, tell=tell)
    with calls:
        interrupted = waiting.run()
    call.document(command="schedule", interrupted=interrupted)
    return Exit.TRY_AGAIN if interrupted else Exit.DONE
