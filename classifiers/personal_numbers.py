"""Numbers that are a person's own: cards, accounts, identity papers, phones, network addresses. A checksum decides where there is one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial

from classifiers.personal_codes import REACH, called

Place = tuple[int, int]

_MOST_PHONES = 20  #: in a text; asking whether one is valid takes long, so that from there on all that look like one are taken for one
_REGIONS = ("US", "GB", "CN", "DE", "FR")
_LEAST, _LEAST_VARIED = 9, 4  #: digits, different digits, in a number that nothing else tells is a phone's
_NEXT = 8  #: characters between two numbers, if what is said of the first holds for the second: "call 555-0101 or 555-0102"

_CARD = re.compile(r"\d(?<![\w.].)(?:[ .-]?\d){11,18}(?![\d])")
_CARD_SAID = re.compile(r"\b(?:cards?|visa|mastercard|amex|maestro|credit|debit)\b\D{0,25}\Z|卡\D{0,8}\Z", re.IGNORECASE)
_IBAN = re.compile(r"[A-Z](?<![A-Z0-9].)[A-Z]\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Z0-9])", re.IGNORECASE)
_IP = re.compile(r"\d(?<![\w.].)\d{0,2}\.(?:\d{1,3}\.){2}\d{1,3}(?![\w]|\.\d)")
_VERSION_SAID = re.compile(r"(?:\bv|version|firmware|build|update|release)\W{0,3}\Z", re.IGNORECASE)

_PHONE = re.compile(
    r"(?<![A-Za-z0-9_$€£¥/-])(?<!\w[.,])(?:\+ ?|00|\(\+?)?\d(?:[ ().\-/]{0,3}\d){5,16}"
    r"(?: ?(?:x|ext\.? ?)\d{2,5})?(?![A-Za-z0-9_%:]|[.,]\d)",
    re.IGNORECASE,
)
_DATE = re.compile(r"(?:19|20)\d\d ?[-/.] ?(?:\d\d?[-/.]\d|(?:19|20)?\d\d(?!\d))|\d\d?[-/.]\d\d?[-/.](?:19|20)\d\d")
_AMOUNT = re.compile(r"\d{1,3}(?:[. ]\d{3}){2,5}|\d+\.\d+")
_PHONE_SAID = re.compile(
    r"\b(?:call(?:ed|ing)?|(?:tele)?phone|tel|mob(?:ile)?|cell|fax|desk|land ?line|text(?:ed)?|sms|"
    r"whats ?app|dial|ring|rang|reach(?:ed)?|contact|"
    r"answer(?:ing|s)?|(?:my|her|his|our|their|your|this|the) (?:new |old )?(?:number|no)|messages? to|registered)\b\D{0,25}\Z"
    r"|(?:电话|手机|联系|致电|拨打|号码|热线|传真)[^\n\d]{0,8}\Z",
    re.IGNORECASE,
)
_PHONE_SAID_AFTER = re.compile(r"[ -]{0,2}\(?(?:office|fax|mobile|cell|home|work|desk)\b", re.IGNORECASE)
_PAPERS = (
    r"passport|driv(?:er'?s|ing) licen[cs]e|licen[cs]e|social security|ssn|national id|id (?:card|number|no)|identity (?:card|number)|"
    r"(?:national )?insurance (?:number|no)|nino|tax (?:id|number)|nie|dni|nif|bsn|pesel|personnummer|steuer-?id|cpr|codice fiscale"
)
_PAPER = re.compile(r"[A-Z0-9](?<![A-Za-z0-9].)(?=[A-Za-z-]{0,3}\d|\d)(?:[ -]?[A-Z0-9]){5,15}(?![A-Za-z0-9])")
_PAPER_SAID = re.compile(rf"\b(?:{_PAPERS})\b[^\n\d]{{0,20}}\Z|(?:身份证|护照|驾照|证件)[^\n\d]{{0,8}}\Z", re.IGNORECASE)


def cards(text: str) -> Iterator[Place]:
    """By Luhn's checksum; a number that is called a card is one even with a slip of the pen in it."""
    for found in _CARD.finditer(text):
        digits = _digits(found[0])
        sure = len(digits) >= 13 and digits[0] in (2, 3, 4, 5, 6) and passes_luhn(digits)
        if sure or _CARD_SAID.search(text, max(0, found.start() - REACH), found.start()):
            yield found.span()


def ibans(text: str) -> Iterator[Place]:
    for found in _IBAN.finditer(text):
        if _passes_mod_97(found[0].replace(" ", "")):
            yield found.span()


def papers(text: str) -> Iterator[Place]:
    """Identity numbers: by their shape and checksum, or because they are called so."""
    for pattern, holds in _SHAPES:
        for found in pattern.finditer(text):
            if holds(found[0]):
                yield found.span()
    yield from ((start, end) for start, end in called(_PAPER_SAID, _PAPER, text) if sum(map(str.isdigit, text[start:end])) >= 5)


def addresses_of_networks(text: str) -> Iterator[Place]:
    """IPv4 addresses that lead to somebody: none of a private net, of well-known short ones, or of versions."""
    import ipaddress

    for found in _IP.finditer(text):
        parts = found[0].split(".")
        if len(found[0]) < 10 or any(len(part) > 1 and part[0] == "0" for part in parts) or max(map(int, parts)) > 255:
            continue
        said = _VERSION_SAID.search(text, max(0, found.start() - 12), found.start())
        if not said and ipaddress.ip_address(".".join(str(int(part)) for part in parts)).is_global:
            yield found.span()


def phones(text: str) -> Iterator[Place]:
    """What is called a phone number, what is written with its country, and what is valid where most posts come from. A company's free
    line is none.
    """
    asked = before = 0
    said = False
    for found in _PHONE.finditer(text):
        start, end = found.span()
        said = (said and start - before <= _NEXT) or _is_called_phone(text, before, start, end)
        before = end
        if not _DATE.match(found[0]) and _looks_like_phone(found[0], said=said):
            asked += 1
            if asked > _MOST_PHONES or _is_phone(found[0], said=said):
                yield start, end


def _is_called_phone(text: str, since: int, start: int, end: int) -> bool:
    return bool((start - since > 1 and _PHONE_SAID.search(text, max(since, start - REACH), start)) or _PHONE_SAID_AFTER.match(text, end))


def _looks_like_phone(written: str, *, said: bool) -> bool:
    digits = re.sub(r"\D", "", written)
    if said:
        return len(digits) >= 7
    return len(digits) >= _LEAST and len(set(digits)) >= _LEAST_VARIED and not _AMOUNT.fullmatch(written)


def _is_phone(written: str, *, said: bool) -> bool:
    import phonenumbers

    has_country = written.lstrip("( ").startswith(("+", "00"))
    written = re.sub(r"\A00", "+", written.lstrip("( ")) if has_country else written
    for region in (None,) if has_country else _REGIONS:
        try:
            number = phonenumbers.parse(written, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return bool(phonenumbers.number_type(number) != phonenumbers.PhoneNumberType.TOLL_FREE)
        if has_country and phonenumbers.is_possible_number(number):
            return True
    return said


def _digits(text: str) -> list[int]:
    return [int(char) for char in text if char.isdigit()]


def passes_luhn(digits: list[int]) -> bool:
    doubled = [2 * digit - 9 * (digit > 4) for digit in digits[-2::-2]]
    return len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _passes_mod_97(iban: str) -> bool:
    return len(iban) >= 15 and int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97 == 1


def _is_chinese(written: str) -> bool:
    """GB 11643: seventeen digits weighed by powers of two, modulo 11."""
    check = sum(int(digit) << (17 - place) for place, digit in enumerate(written[:17])) % 11
    return written[17].upper() == "10X98765432"[check] and _is_day(written[6:10], written[10:12], written[12:14])


def _is_american(written: str) -> bool:
    """No part is all zeros, and none was ever given in area 666."""
    return not written.startswith(("000", "666")) and written[4:6] != "00" and written[7:] != "0000"


def _is_french(written: str) -> bool:
    """A key of 97 less the number modulo 97; Corsica's departments hold letters."""
    plain = re.sub(r"\D", "", written.upper().replace("2A", "19").replace("2B", "18"))
    return len(plain) == 15 and int(plain[13:]) == 97 - int(plain[:13]) % 97


def _is_spanish(written: str) -> bool:
    plain = re.sub(r"[ -]", "", written.upper())
    number = plain[:-1].translate(str.maketrans("XYZ", "012"))
    return plain[-1] == "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23]


def _is_italian(written: str) -> bool:
    """The sixteenth sign checks the others: those in odd places by a table, those in even ones by their order."""
    odd = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
    places = [int(char) if char.isdigit() else ord(char) - ord("A") for char in written.upper()]
    total = sum(odd[place] for place in places[:15:2]) + sum(places[1:15:2])
    return places[15] == total % 26


def _is_finnish(written: str) -> bool:
    return written[10].upper() == "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(written[:6] + written[7:10]) % 31]


def _is_swedish(written: str) -> bool:
    digits = _digits(written)[-10:]
    return passes_luhn(digits) and 1 <= digits[2] * 10 + digits[3] <= 12 and 1 <= digits[4] * 10 + digits[5] <= 31


def _is_day(year: str, month: str, day: str) -> bool:
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return False
    return True


def _always(_: str) -> bool:
    return True


_shape = partial(re.compile, flags=re.ASCII)
_SHAPES: tuple[tuple[re.Pattern[str], Callable[[str], bool]], ...] = (
    (_shape(r"[1-9](?<!\d.)\d{5}(?:19|20)\d{9}[\dXx](?![\dA-Za-z])"), _is_chinese),
    (_shape(r"\d(?<![\d-].)\d\d-\d\d-\d{4}(?![\d-])"), _is_american),
    (_shape(r"[A-CEGHJ-PR-TW-Z](?<!\w.)[A-CEGHJ-PR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D](?!\w)"), _always),  # United Kingdom
    (_shape(r"[12](?<!\w.) ?\d{2} ?[01]\d ?\d[\dABab] ?\d{3} ?\d{3} ?\d{2}(?!\w)"), _is_french),
    (_shape(r"[0-9XYZ](?<!\w.)-?\d{7}-?[A-HJ-NP-TV-Z](?!\w)"), _is_spanish),
    (_shape(r"[A-Za-z](?<!\w.)[A-Za-z]{5}\d{2}[A-EHLMPR-Ta-ehlmpr-t]\d{2}[A-Za-z]\d{3}[A-Za-z](?!\w)"), _is_italian),
    (_shape(r"[0-3](?<!\w.)\d[01]\d{3}[-+A]\d{3}[0-9A-Y](?!\w)"), _is_finnish),
    (_shape(r"\d(?<!\d.)\d{5}(?:\d\d)?[-+]\d{4}(?!\d)"), _is_swedish),
)
