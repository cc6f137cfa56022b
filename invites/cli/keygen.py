"""`invites keygen`: a key pair for a key server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from invites.cli.options import Call
from invites.errors import Exit
from invites.problems import on_one_line

if TYPE_CHECKING:
    from invites.settings.secrets import KeyFiles


def keygen(
    call: Call,
    kid: Annotated[str, typer.Option("--kid", metavar="NAME", help="The key's name (kid).")],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="The folder to write both halves to.")
    ] = Path(),
    bits: Annotated[
        int, typer.Option("--bits", metavar="N", help="The key's size, 2048 to 8192.")
    ] = 3072,
) -> int:
    """Make an RSA key pair: a private key to sign with, a public one for the key server."""
    from invites.settings.secrets import write_key_pair

    files = write_key_pair(out, kid, bits=bits)
    for line in _what_to_do(kid, files).splitlines():
        call.say(line)
    call.document(
        key_id=kid,
        bits=bits,
        private_key_file=str(files.private),
        public_key_file=str(files.public),
    )
    return Exit.DONE


def _what_to_do(kid: str, files: KeyFiles) -> str:
    private, public = (on_one_line(str(file)) for file in (files.private, files.public))
    return f"""\
made  {private} (the private key: it stays here, only for you)
made  {public} (the public key: it goes to the key server)

On a web server that Prosody reaches, publish {files.public.name} alone, for example as
  https://keys.example.com/jitsi/{files.public.name}

In Prosody's configuration of the Jitsi host:
  asap_key_server = "https://keys.example.com/jitsi"
  (docker: JWT_ASAP_KEYSERVER=https://keys.example.com/jitsi)
  From then on tokens signed with a shared secret are refused.

In invites.toml:
  [jitsi]
  algorithm = "RS256"
  private_key_file = {_toml(str(files.private.absolute()))}
  key_id = {_toml(kid)}"""


def _toml(text: str) -> str:
    """Return a TOML string, with everything unprintable as an escape of TOML's."""
    import json

    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08X}" for char in quoted)
