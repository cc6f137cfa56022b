"""What a file tells of the settings that it needs, and what it leaves open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from invites.roster.csv_file import table_from_bytes
from invites.roster.parse import RosterRules, parse_roster
from invites.roster.suggest import Proposed, Suggestion, rules_with, suggestion_for
from invites.roster.vocabulary import HEADERS


def suggested(text: str, *, zone_here: str = "UTC", **rules: object) -> Suggestion:
    """Return what is suggested for a roster of this text."""
    table = table_from_bytes(text.encode(), "r.csv")
    return suggestion_for(table, RosterRules(**rules), zone_here=zone_here)  # type: ignore[arg-type]


def values(found: Suggestion) -> dict[str, object]:
    """Return the proposed values by their keys."""
    return {each.key: each.value for each in found.proposals}


SHEETS = {
    "de": (
        "Titel;Beginn;Ende;Vorname;Nachname;E-Mail-Adresse;Leitung\n"
        "Kurs;23.03.2031 09:00;23.03.2031 10:00;Ada;Beispiel;ada@example.org;ja\n"
        "Kurs;23.03.2031 09:00;23.03.2031 10:00;Ben;Beispiel;ben@example.org;nein\n"
    ),
    "fr": (
        "Titre,Date de début,Heure de début,Durée,Nom,Prénom,Courriel,Animateur\n"
        "Cours,23/03/2031,9h00,1h30,Exemple,Ada,ada@example.org,oui\n"
        "Cours,23/03/2031,9h00,1h30,Exemple,Ben,ben@example.org,non\n"
    ),
    "es": (
        "Asunto,Fecha,Hora de inicio,Hora de fin,Nombre,Apellidos,Correo electrónico,Moderador\n"
        "Curso,23/03/2031,9:00,10:00,Ada,Ejemplo,ada@example.org,sí\n"
        "Curso,23/03/2031,9:00,10:00,Ben,Ejemplo,ben@example.org,no\n"
    ),
    "it": (
        "Titolo,Inizio,Fine,Nome,Cognome,Indirizzo e-mail,Moderatore\n"
        "Corso,23/03/2031 09:00,23/03/2031 10:00,Ada,Esempio,ada@example.org,sì\n"
        "Corso,23/03/2031 09:00,23/03/2031 10:00,Ben,Esempio,ben@example.org,no\n"
    ),
    "pt": (
        "Título,Data,Início,Fim,Nome completo,E-mail,Moderador\n"
        "Curso,23/03/2031,09:00,10:00,Ada Exemplo,ada@example.org,sim\n"
        "Curso,23/03/2031,09:00,10:00,Ben Exemplo,ben@example.org,não\n"
    ),
    "nl": (
        "Onderwerp;Begindatum;Begintijd;Eindtijd;Voornaam;Achternaam;E-mailadres;Voorzitter\n"
        "Cursus;23-03-2031;09:00;10:00;Ada;Voorbeeld;ada@example.org;ja\n"
        "Cursus;23-03-2031;09:00;10:00;Ben;Voorbeeld;ben@example.org;nee\n"
    ),
    "pl": (
        "Temat;Początek;Koniec;Imię i nazwisko;Adres e-mail;Prowadzący\n"
        "Kurs;23.03.2031 09:00;23.03.2031 10:00;Ada Przykład;ada@example.org;tak\n"
        "Kurs;23.03.2031 09:00;23.03.2031 10:00;Ben Przykład;ben@example.org;nie\n"
    ),
    "tr": (
        "Konu;Başlangıç;Bitiş;Adı;Soyadı;E-posta;Moderatör\n"
        "Ders;23.03.2031 09:00;23.03.2031 10:00;Ada;Örnek;ada@example.org;evet\n"
        "Ders;23.03.2031 09:00;23.03.2031 10:00;Ben;Örnek;ben@example.org;hayır\n"
    ),
    "uk": (
        "Назва;Початок;Кінець;Ім'я;Прізвище;Електронна пошта;Модератор\n"
        "Курс;23.03.2031 09:00;23.03.2031 10:00;Ада;Приклад;ada@example.org;так\n"
        "Курс;23.03.2031 09:00;23.03.2031 10:00;Бен;Приклад;ben@example.org;ні\n"
    ),
    "ja": (
        "会議名,日付,開始,終了,氏名,メールアドレス,司会\n"
        "定例,2031/3/23,9:00,10:00,見本太郎,ada@example.org,はい\n"
        "定例,2031/3/23,9:00,10:00,見本花子,ben@example.org,いいえ\n"
    ),
    "ar": (
        "العنوان,البداية,النهاية,الاسم الكامل,البريد الإلكتروني,مشرف\n"
        "درس,2031/03/23 09:00,2031/03/23 10:00,آدا مثال,ada@example.org,نعم\n"
        "درس,2031/03/23 09:00,2031/03/23 10:00,بن مثال,ben@example.org,لا\n"
    ),
    "en": (
        "Subject,Date,Start,End,First name,Surname,Email address,Host\n"
        "Course,3/23/2031,9:00 AM,10:00 AM,Ada,Example,ada@example.org,yes\n"
        "Course,3/23/2031,9:00 AM,10:00 AM,Ben,Example,ben@example.org,no\n"
    ),
}
"""A sheet as somebody writes it, in each language whose words are known."""


@pytest.mark.parametrize("language", SHEETS)
def test_a_sheet_of_each_language_is_made_readable(language: str) -> None:
    """Columns by their meaning, dates, yes and no: then all rows pass, without any question."""
    found = suggested(SHEETS[language])
    assert (found.rows, found.passing, found.would_pass) == (2, 0, 2)
    assert not found.questions
    table = table_from_bytes(SHEETS[language].encode(), "r.csv")
    (meeting,) = parse_roster(table, found.rules(RosterRules())).meetings
    assert (meeting.start.month, meeting.start.day, meeting.start.hour) == (3, 23, 9)
    assert [one.moderator for one in meeting.attendees] == [True, False]
    assert " " in meeting.attendees[0].name or language == "ja"


def test_every_language_has_a_word_for_each_required_column() -> None:
    """Twelve languages, so at least twelve words of each column, most of them different ones."""
    for ours in ("title", "start", "end", "name", "email"):
        assert len(HEADERS[ours]) >= len(SHEETS)


def test_a_readable_roster_needs_nothing() -> None:
    """Our own names, our own order of dates: no proposal, no question."""
    text = (
        "meeting_id,title,start,end,name,email,moderator\n"
        "m,Weekly,2031-03-03 09:00,2031-03-03 10:00,Ada Example,ada@example.org,yes\n"
    )
    found = suggested(text)
    assert (found.passing, found.would_pass) == (1, 1)
    assert not found.proposals
    assert not found.questions


def test_day_and_month_that_nothing_tells_apart_are_a_question() -> None:
    """03/04/2031 is two days; what would read it either way is said, and nothing is proposed."""
    text = SHEETS["it"].replace("23/03", "03/04")
    found = suggested(text)
    (question,) = found.questions
    assert [each.value for each in question.answers] == [("%d/%m/%Y %H:%M",), ("us",)]
    assert "date_format" not in values(found)
    assert found.would_pass == 2


def test_one_date_above_the_twelfth_tells_the_order_of_all() -> None:
    """The line says which date it was."""
    text = SHEETS["it"].replace("23/03", "03/04") + SHEETS["it"].splitlines()[1].replace(
        "Corso", "X"
    )
    found = suggested(text)
    assert not found.questions
    (proposal,) = [each for each in found.proposals if each.key == "date_format"]
    assert proposal.why == "day first, as in 23/03/2031 09:00"


def test_the_zone_of_times_is_a_question_where_nothing_names_it() -> None:
    """UTC is what counts without a setting, and rarely what somebody's sheet is written in."""
    found = suggested(SHEETS["de"], zone_here="Europe/Berlin")
    (question,) = found.questions
    assert [each.value for each in question.answers] == ["Europe/Berlin", "UTC"]
    with_zone = (
        SHEETS["de"].replace("Titel;", "Zeitzone;Titel;").replace("Kurs;", "Asia/Tokyo;Kurs;")
    )
    assert not suggested(with_zone, zone_here="Europe/Berlin").questions
    assert not suggested(SHEETS["de"], zone_here="Etc/UTC").questions
    assert not suggested(SHEETS["de"], zone_here="Europe/Berlin", timezone="Asia/Tokyo").questions
    instants = SHEETS["de"].replace("23.03.2031 09:00", "2031-03-23 09:00Z")
    instants = instants.replace("23.03.2031 10:00", "2031-03-23 10:00Z")
    assert not suggested(instants, zone_here="Europe/Berlin").questions


def test_a_number_of_rows_is_no_identity_of_meetings() -> None:
    """A column Nr that counts the rows would make a meeting of each attendee."""
    numbered = "Nr;" + SHEETS["de"].replace("\nKurs", "\n1;Kurs", 1)
    assert (
        values(suggested(numbered.replace("\nKurs", "\n2;Kurs")))["meeting_id"] == "Titel + Beginn"
    )
    assert values(suggested(numbered.replace("\nKurs", "\n1;Kurs")))["meeting_id"] == "Nr"


def test_a_leader_s_name_is_no_yes() -> None:
    """A column Leitung may hold who leads: then it is kept as it is."""
    named = SHEETS["de"].replace(";ja\n", ";Ada Beispiel\n").replace(";nein\n", ";Ada Beispiel\n")
    found = suggested(named)
    assert not values(found).keys() & {"moderator", "yes", "no"}
    assert found.would_pass == 2


def test_what_stands_in_the_settings_is_added_to() -> None:
    """Another export's names and words are not lost."""
    rules = {"columns": {"title": ("Thema",)}, "yes": frozenset({"oui"}), "date_format": ("iso",)}
    found = values(suggested(SHEETS["de"], **rules))
    assert found["title"] == ("Thema", "Titel")
    assert found["yes"] == ("oui", "ja")
    assert found["date_format"] == ("iso", "de")


def test_a_misspelt_required_column_is_mapped_and_a_look_alike_listed() -> None:
    """`emial` is the address; `Groups` is only near our `group`, and stays what it is."""
    text = (
        "meeting_id,title,start,end,name,emial,Groups\n"
        "m,Weekly,2031-03-03 09:00,2031-03-03 10:00,Ada Example,ada@example.org,A\n"
    )
    found = suggested(text)
    assert values(found) == {"email": "emial", "extra": ("Groups",)}
    assert found.would_pass == 1


def test_a_full_name_beside_a_first_name_is_the_name() -> None:
    """The texts tell: Ada stands in Ada Beispiel; and beside Beispiel alone it is the first half."""
    whole = SHEETS["de"].replace("Nachname", "Name").replace("Beispiel;", "Ada Ben Beispiel;")
    assert not values(suggested(whole)).keys() & {"first_name", "last_name"}
    halves = values(suggested(SHEETS["de"].replace("Nachname", "Name")))
    assert (halves["first_name"], halves["last_name"]) == ("Vorname", "Name")


def test_problems_that_no_setting_mends_are_said() -> None:
    """The others would pass; nothing of the faulty row is bent to fit."""
    found = suggested(SHEETS["de"].replace("ben@example.org", "ben"))
    assert (found.rows, found.would_pass) == (2, 1)
    (problem,) = found.problems
    assert (problem.row, problem.column) == (3, "E-Mail-Adresse")


def test_proposals_make_the_rules_that_the_settings_would() -> None:
    """What was counted with them is what the next check counts."""
    proposals = [
        Proposed("roster", "timezone", "Asia/Tokyo", ""),
        Proposed("roster", "yes", ("Ja",), ""),
        Proposed("roster.columns", "title", "Titel", ""),
    ]
    expected = replace(
        RosterRules(), timezone="Asia/Tokyo", yes=frozenset({"ja"}), columns={"title": ("Titel",)}
    )
    assert rules_with(RosterRules(), proposals) == expected
