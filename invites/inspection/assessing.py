"""What is to be said of each token found: its verdicts, signature, cautions and roles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from invites.inspection.cautions import Role, cautions, roles
from invites.jitsi.admission import Sentence, Verdict, verdict
from invites.jitsi.tokens import verifies

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from invites.inspection.reading import Found, Material
    from invites.jitsi.links import Token
    from invites.jitsi.tokens import SigningKey
    from invites.model import Server

NO_KEY = "no secret or key is configured."


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Whether the signature is right, as far as the key at hand can tell, and why it can't."""

    state: Literal["right", "wrong", "not checked"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """One token and everything that there is to say of it.

    `verdicts` are for the instants that were asked for, in that order.
    """

    found: Found
    signature: Signature
    verdicts: tuple[Verdict, ...]
    cautions: tuple[Sentence, ...]
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """The whole input inspected."""

    material: Material
    tokens: tuple[Inspected, ...]

    @property
    def admitted(self) -> bool:
        """Return whether every token is admitted at the last of the instants asked for."""
        return all(each.verdicts[-1].admitted for each in self.tokens)


def inspected(
    material: Material,
    instants: Sequence[datetime],
    *,
    server: Server | None = None,
    key: SigningKey | None = None,
    why_no_key: str = NO_KEY,
) -> Inspection:
    """Return what is to be said of every token in `material` at `instants` (aware, in UTC).

    `server` and `key` are the settings', None where there are none.
    """
    return Inspection(
        material=material,
        tokens=tuple(
            _assessed(found, instants, server=server, signature=_signature(found, key, why_no_key))
            for found in material.found
        ),
    )


def _assessed(
    found: Found, instants: Sequence[datetime], *, server: Server | None, signature: Signature
) -> Inspected:
    token, link = found.token, found.link
    forged = (
        (Sentence(code="signature", text=signature.text),) if signature.state == "wrong" else ()
    )
    verdicts = [verdict(token, at, server=server, link=link) for at in instants]
    return Inspected(
        found=found,
        signature=signature,
        verdicts=tuple(replace(each, refusals=forged + each.refusals) for each in verdicts),
        cautions=cautions(token, server=server, link=link),
        roles=roles(token.claims),
    )


def _signature(found: Found, key: SigningKey | None, why_no_key: str) -> Signature:
    token: Token = found.token
    if key is None:
        return Signature(state="not checked", text=f"The signature was not checked: {why_no_key}")
    if token.header.get("alg") != key.algorithm:
        return Signature(
            state="not checked",
            text="The signature was not checked: the token's algorithm is not that of the "
            f"configured key, {key.algorithm}.",
        )
    if verifies(token.message, token.signature, key):
        return Signature(state="right", text="The signature is right for the configured key.")
    return Signature(
        state="wrong",
        text="The signature is wrong: it was made with another secret or key than the configured "
        "one, or the token was changed or cut.",
    )
