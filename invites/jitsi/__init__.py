"""Rooms, validity, tokens and links as a Jitsi server reads them; pure."""
