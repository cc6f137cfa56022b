"""From a meeting and its attendees to checked messages: mint, render, fill, check, read back."""

from invites.messages.compose import Composer
from invites.messages.verify import Verifier

__all__ = ["Composer", "Verifier"]
