"""Settings from TOML, environment and flags: frozen, checked, with their secrets and keys."""

from __future__ import annotations

from invites.settings.load import demo, load, places
from invites.settings.sections import Job
from invites.settings.settings import Settings

__all__ = ["Job", "Settings", "demo", "load", "places"]
