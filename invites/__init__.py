"""Personal Jitsi Meet join links, as calendar invitations, from a CSV roster."""

__version__ = "0.1.0"
