"""Addresses: three spellings of one mailbox, and what is none."""

from __future__ import annotations

from email import policy
from email.message import EmailMessage
from email.parser import BytesParser

import pytest
from email_validator import validate_email
from hypothesis import given
from hypothesis import strategies as st

from invites.addresses import ADDRESS_AT_MOST, ORDINARY, AddressRefused, parse_address


def test_the_domain_becomes_a_labels_and_the_local_part_stays() -> None:
    """People see what they wrote, mail systems see ASCII, comparing sees no case."""
    address = parse_address("Zoe.X@BÜCHER.example")
    assert address.email == "Zoe.X@BÜCHER.example"
    assert address.mailbox == "Zoe.X@xn--bcher-kva.example"
    assert address.address == "zoe.x@xn--bcher-kva.example"


@pytest.mark.parametrize(
    "other", ["ADA@EXAMPLE.ORG", "ada@example.org", "ada@ｅｘａｍｐｌｅ.org", "ada@example。org"]
)
def test_spellings_of_one_address_share_the_folded_form(other: str) -> None:
    """Case, full-width letters and full-width dots make no other address."""
    assert parse_address(other).address == parse_address("Ada@Example.org").address


@pytest.mark.parametrize("text", ["a@b.clinic.local", "a@CLINIC.local"])
def test_a_special_domain_is_taken_where_the_settings_name_it(text: str) -> None:
    """special_domains waives the refusal for these domains and their subdomains alone."""
    assert parse_address(text, special_domains=("clinic.local",)).mailbox == text.lower()
    for other in ("a@xclinic.local", "a@local", "a@clinic.local.local"):
        with pytest.raises(AddressRefused):
            parse_address(other, special_domains=("clinic.local",))


def test_a_special_domain_may_be_one_label() -> None:
    """An intranet's host name is taken, its syntax still checked."""
    assert parse_address("a@intranet", special_domains=("intranet",)).mailbox == "a@intranet"
    with pytest.raises(AddressRefused):
        parse_address("a@-x.intranet", special_domains=("intranet",))


def test_the_stand_in_for_special_domains_is_no_back_door() -> None:
    """An ordinary domain that ends like the stand-in keeps all its labels."""
    assert parse_address("a@x.example.com").mailbox == "a@x.example.com"


def test_length_counts_after_the_domain_became_ascii() -> None:
    """What goes over the wire is at most 254 characters long."""
    label = "ü" * 40
    text = f"a@{label}.{label}.{label}.{label}.example"
    assert len(text) < ADDRESS_AT_MOST
    with pytest.raises(AddressRefused):
        parse_address(text)


@given(
    st.from_regex(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}(\.[a-z=?]{1,9})?", fullmatch=True),
    st.sampled_from(["example.org", "a.example.com", "bücher.example"]),
)
def test_what_is_taken_is_one_recipient_to_the_mail_library(local: str, domain: str) -> None:
    """A header written with the mailbox reads back as exactly this one address."""
    try:
        mailbox = parse_address(f"{local}@{domain}").mailbox
    except AddressRefused:
        return
    message = EmailMessage(policy=policy.SMTP)
    message["To"] = f"<{mailbox}>"
    back = BytesParser(policy=policy.default).parsebytes(bytes(message))
    assert [one.addr_spec for one in back["To"].addresses] == [mailbox]


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    """Nothing but AddressRefused comes out, and what is taken is printable ASCII on one line."""
    try:
        mailbox = parse_address(text + "@example.org").mailbox
    except AddressRefused:
        return
    assert mailbox.isascii()
    assert mailbox.isprintable()
    assert not set(mailbox) & set(' ,;<>"()[]\\:')


@given(st.from_regex(ORDINARY, fullmatch=True))
def test_the_library_takes_ordinary_domains_as_they_are(domain: str) -> None:
    """It is not asked about them, so it must have nothing to say."""
    assert validate_email(f"x@{domain}", check_deliverability=False).ascii_domain == domain


@pytest.mark.parametrize(
    "domain",
    [
        "example.local",
        "example.test",
        "xn--bcher-kva.com",
        "a--b.com",
        "ab--c.com",
        "-a.com",
        "a-.com",
        "com",
        "Example.org",
        "b\u00fccher.com",
        "a..com",
        "example.com.",
        "example.com\n",
    ],
)
def test_other_domains_are_left_to_the_library(domain: str) -> None:
    """Special names, A-labels, capitals, anything out of the ordinary."""
    assert ORDINARY.fullmatch(domain) is None
