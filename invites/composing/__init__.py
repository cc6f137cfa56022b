"""From a meeting and its attendees to checked messages: mint, render, fill, check, read back."""

from invites.composing.composer import Composer
from invites.composing.verifier import Verifier

__all__ = ["Composer", "Verifier"]
