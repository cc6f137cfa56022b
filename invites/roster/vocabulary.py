"""What other programs and other people call a roster's columns, and how they say yes and no.

One home for each language's words: a new language adds its own to the lines.  Only `check
--suggest` looks here; what it finds goes into the settings, which alone are read by.
"""

# ruff: noqa: RUF001 - letters of other alphabets are the point

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Final

_HEADERS: Final[Mapping[str, str]] = {
    "meeting_id": "meeting id|meeting|event id|uid|id|no|number|nummer|kennung|termin id|termin nr|terminnummer"
    "|besprechungsnummer|kursnummer|kurs id|veranstaltungsnummer|unterrichtsnummer|nr|numéro|identifiant"
    "|id reunión|id riunione|id reunião|vergadernummer|id spotkania|toplantı no|toplantı id|ідентифікатор"
    "|номер|会議id|番号|معرف|رقم الاجتماع",
    "title": "title|meeting title|subject|topic|event|meeting|summary|course|lesson|titel|betreff|thema"
    "|termin|besprechung|veranstaltung|sitzung|kurs|unterricht|fach|seminar|titre|objet|sujet|réunion"
    "|cours|título|asunto|reunión|curso|evento|titolo|oggetto|riunione|corso|assunto|reunião|onderwerp"
    "|vergadering|cursus|vak|tytuł|temat|spotkanie|przedmiot|başlık|konu|toplantı|ders|назва|тема"
    "|зустріч|курс|предмет|タイトル|件名|会議|会議名|題名|科目|العنوان|الموضوع|الاجتماع|المادة",
    "start": "start|starts|begin|begins|beginning|from|start time|starting|beginn|von|anfang|startzeit"
    "|beginnt um|beginnt|uhrzeit|termin|début|commence|heure de début|inicio|comienzo|desde|hora de inicio"
    "|inizio|dalle|ora di inizio|início|hora de início|aanvang|begintijd|początek|od|rozpoczęcie"
    "|godzina rozpoczęcia|başlangıç|başlama|başlangıç saati|початок|від|час початку|開始|開始時刻"
    "|開始日時|開始時間|البداية|من|وقت البدء|بداية",
    "end": "end|ends|to|until|till|finish|end time|ende|bis|endet um|endet|endzeit|schluss|fin|jusqu'à"
    "|heure de fin|hasta|hora de fin|fine|alle|ora di fine|fim|até|término|hora de término|einde|tot"
    "|eindtijd|koniec|do|zakończenie|godzina zakończenia|bitiş|bitiş saati|кінець|до|завершення"
    "|час завершення|終了|終了時刻|終了日時|終了時間|النهاية|إلى|وقت الانتهاء|نهاية",
    "start_date": "start date|date|day|datum|tag|beginnt am|startdatum|jour|date de début|fecha|día"
    "|fecha de inicio|data|giorno|data di inizio|data de início|dia|begindatum|dag|dzień"
    "|data rozpoczęcia|tarih|gün|başlangıç tarihi|дата|день|дата початку|日付|開始日|日|التاريخ"
    "|تاريخ البدء|اليوم",
    "end_date": "end date|endet am|enddatum|date de fin|fecha de fin|fecha de finalización|data di fine"
    "|data de término|einddatum|data zakończenia|bitiş tarihi|дата завершення|終了日|تاريخ الانتهاء",
    "duration": "duration|length|minutes|dauer|minuten|länge|durée|duración|durata|duração|duur"
    "|czas trwania|süre|тривалість|所要時間|المدة",
    "first_name": "first name|given name|forename|vorname|rufname|prénom|nombre|nombre de pila|nome"
    "|primeiro nome|voornaam|imię|ad|adı|ім'я|名|الاسم الأول",
    "last_name": "last name|surname|family name|long name|nachname|familienname|zuname|langname|nom"
    "|nom de famille|apellido|apellidos|cognome|sobrenome|apelido|achternaam|nazwisko|soyad|soyadı"
    "|прізвище|姓|اسم العائلة|اللقب|name|naam",
    "name": "full name|name|attendee|participant|person|display name|anzeigename|teilnehmer|teilnehmerin"
    "|teilnehmende|vollständiger name|schüler|schülerin|nom complet|nom et prénom|nom|nombre completo"
    "|participante|asistente|nombre|nome completo|partecipante|nome|volledige naam|deelnemer|naam"
    "|imię i nazwisko|uczestnik|ad soyad|adı soyadı|katılımcı|піб|ім'я та прізвище|учасник|ім'я|氏名"
    "|名前|参加者|الاسم|الاسم الكامل|المشارك",
    "email": "email|mail|email address|e mail adresse|mailadresse|email adresse|mail adresse|adresse e mail"
    "|courriel|adresse mail|correo|correo electrónico|dirección de correo|dirección de correo electrónico"
    "|indirizzo e mail|indirizzo email|posta elettronica|endereço de e mail|correio eletrónico"
    "|e mailadres|adres e mail|e posta|e posta adresi|електронна пошта|пошта|メール|メールアドレス|eメール"
    "|البريد الإلكتروني|البريد|عنوان البريد الإلكتروني",
    "moderator": "moderator|is moderator|host|is host|leader|chair|teacher|trainer|role|roles|leitung|leiter"
    "|leiterin|moderation|moderatorin|gastgeber|lehrkraft|dozent|rolle|rollen|animateur|modérateur|hôte"
    "|rôle|rôles|moderador|anfitrión|rol|roles|ponente|moderatore|relatore|ruolo|anfitrião|papel|função"
    "|voorzitter|gastheer|prowadzący|rola|yönetici|moderatör|модератор|ведучий|роль|司会|主催者|役割|مشرف"
    "|مضيف|الدور",
    "description": "description|notes|agenda|beschreibung|notizen|tagesordnung|ordre du jour|remarques"
    "|descripción|notas|descrizione|note|descrição|omschrijving|beschrijving|opis|uwagi|açıklama|notlar"
    "|опис|примітки|説明|備考|内容|الوصف|ملاحظات",
    "timezone": "timezone|time zone|zeitzone|fuseau horaire|zona horaria|fuso orario|fuso horário|tijdzone"
    "|strefa czasowa|saat dilimi|часовий пояс|タイムゾーン|المنطقة الزمنية",
    "language": "language|sprache|langue|idioma|lingua|língua|taal|język|dil|мова|言語|اللغة",
}  # fmt: skip
"""Our columns' names in English, German, French, Spanish, Italian, Portuguese, Dutch, Polish,
Turkish, Ukrainian, Japanese and Arabic; of a column's words the first that a file has counts."""

_LISTS: Final = (
    "required attendees|optional attendees|erforderliche teilnehmer|optionale teilnehmer"
    "|participants obligatoires|participants facultatifs|asistentes necesarios|asistentes opcionales"
    "|partecipanti necessari|partecipanti facoltativi|participantes obrigatórios|participantes opcionais"
    "|vereiste deelnemers|optionele deelnemers|wymagani uczestnicy|opcjonalni uczestnicy"
    "|gerekli katılımcılar|isteğe bağlı katılımcılar|обов'язкові учасники|необов'язкові учасники"
    "|必須出席者|任意出席者|الحضور المطلوبون|الحضور الاختياريون"
)

_YES: Final = (
    "ja|oui|sí|si|sì|sim|tak|evet|так|はい|نعم|wahr|vrai|verdadero|vero|verdadeiro|waar|prawda|doğru"
    "|правда|істина|真|○|✓|✔|☑|moderator|moderatorin|host|leader|chair|trainer|teacher|editingteacher"
    "|presenter|organizer|organisator|lehrer|lehrerin|lehrkraft|leitung|leiter|leiterin|dozent|dozentin"
    "|gastgeber|enseignant|enseignante|professeur|animateur|profesor|profesora|moderador|docente"
    "|professor|professora|docent|nauczyciel|prowadzący|öğretmen|викладач|учитель|модератор|先生|معلم|مشرف"
)
_NO: Final = (
    "nein|non|não|nie|nee|hayır|ні|いいえ|لا|falsch|faux|falso|onwaar|fałsz|yanlış|хибність|偽|-|–|✗|☐"
    "|attendee|participant|guest|student|teilnehmer|teilnehmerin|schüler|schülerin|gast|étudiant"
    "|étudiante|élève|estudiante|alumno|alumna|participante|studente|studentessa|aluno|aluna|leerling"
    "|deelnemer|uczeń|uczestnik|öğrenci|katılımcı|студент|учень|учасник|生徒|参加者|طالب|مشارك"
)


def word_key(text: str) -> str:
    """Return letters and digits alone, in lower case and composed: `E-Mail ` is `email`."""
    composed = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in composed if char.isalnum() or char in "-–○✓✔☑✗☐") or composed


def _header_key(text: str) -> str:
    return word_key(text).replace("-", "")


def _keys(words: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_header_key(word) for word in words.split("|")))


HEADERS: Final = {ours: _keys(words) for ours, words in _HEADERS.items()}
LISTS: Final = _keys(_LISTS)
YES: Final = frozenset(word.casefold() for word in _YES.split("|"))
NO: Final = frozenset(word.casefold() for word in _NO.split("|"))


def rank(ours: str, header: str) -> int | None:
    """Return how well a header's name says our column, 0 for best; None where it does not.

    What stands in brackets behind it is passed over: `Dauer (Minuten)` is `Dauer`.
    """
    words = HEADERS[ours]
    for key in (_header_key(header), _header_key(header.partition("(")[0])):
        if key in words:
            return words.index(key)
    return None


def lists_attendees(header: str) -> bool:
    """Tell whether a column of this name lists a meeting's attendees in one cell."""
    return _header_key(header) in LISTS


PROGRAMS: Final[Mapping[str, tuple[frozenset[str], ...]]] = {
    "an Outlook calendar export": (
        frozenset(_keys("Subject|Start Date|Start Time|End Date|End Time|All day event")),
        frozenset(_keys("Betreff|Beginnt am|Beginnt um|Endet am|Endet um|Ganztägiges Ereignis")),
    ),
    "a list of Moodle's participants": (
        frozenset(_keys("First name|Last name|Email address|Groups")),
        frozenset(_keys("Vorname|Nachname|E-Mail-Adresse|Gruppen")),
        frozenset(_keys("username|firstname|lastname|email")),
    ),
    "a list from WebUntis": (
        frozenset(_keys("Langname|Vorname|Kurzname|Klasse")),
        frozenset(_keys("Familienname|Vorname|Klasse|E-Mail Adresse")),
    ),
}
"""Programs by the headers of their exports; docs/rosters.md names what documents them."""


def program_of(header: tuple[str, ...]) -> str:
    """Return which program's export this header is, "" for none that is known."""
    keys = {_header_key(name) for name in header}
    return next(
        (name for name, signs in PROGRAMS.items() if any(sign <= keys for sign in signs)), ""
    )
