r"""Which personal data does it show? Patterns with their checksums, and phonenumbers for what looks like a phone number.

Every pattern is bounded and starts only where a word starts, so that no text, however hostile, costs more than a few steps per character.
Where it can, it looks back only behind its first character, `\d(?<!\w.)`, since a plain first character is found much faster.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import or_
from typing import TYPE_CHECKING

from classifiers.numbers import (
    AFTER_CAPITALS,
    AFTER_STREET,
    CODE,
    FIVE_DIGITS,
    NUMBER,
    THEN_CAPITALS,
    THEN_HOUSE,
    THEN_NAME,
    THEN_STREET,
    THEN_WORD,
    TWO_DIGITS,
    glance,
)
from earshot.mention import Score

if TYPE_CHECKING:
    from classifiers.batch import Batch

Finder = Callable[[str], Iterable[tuple[int, int]]]

_MOST_PHONES = 20  #: candidates a text
_REGIONS = ("US", "GB", "CN", "DE", "FR")


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Where personal data stands in a text as given."""

    start: int
    end: int
    kind: str  #: e-mail, card, iban, id, phone, order, address, post code, link


def personal_data(batch: Batch) -> list[Score]:
    """Label: `none`, or the kinds found, parted by spaces. Value: how many spans."""
    nothing = _score([])
    return [_score(found) if found else nothing for found in batch.shown]


def spans(text: str) -> list[Span]:
    """What should not be shown, in order; no two overlap."""
    return all_spans([text])[0]


def all_spans(texts: Sequence[str]) -> list[list[Span]]:
    """`spans` of each text. A glance at the whole batch spares most texts the patterns, of which each costs as much as the glance."""
    looks = glance(texts)
    return [
        _spans(text, look) if (look & NUMBER and look & _MORE) or "@" in text or "=" in text else []
        for text, look in zip(texts, looks, strict=True)
    ]


def _spans(text: str, look: int) -> list[Span]:
    kept: list[Span] = []
    taken = bytearray(len(text))
    for kind, find in _finders(text, look):
        for start, end in find(text):
            if not any(taken[start:end]):
                kept.append(Span(start, end, kind))
                taken[start:end] = b"\1" * (end - start)
    return sorted(kept)


def mask(text: str) -> str:
    """The text with each span replaced by its kind in brackets: "[e-mail]"."""
    parts, at = [], 0
    for span in spans(text):
        parts += [text[at : span.start], f"[{span.kind}]"]
        at = span.end
    return "".join([*parts, text[at:]])


def _score(found: list[Span]) -> Score:
    kinds = " ".join(sorted({span.kind for span in found}))
    return Score(
        name="personal_data", label=kinds or "none", value=float(len(found)), confidence=0.95 if found else 0.9, by="personal_data-1"
    )


_EMAIL_HINT = re.compile(r"@(?<=\w@)[\w-]+\.")
_FIVE_IN_A_ROW = re.compile(r"\d(?:[^\w\n]{0,2}\d){4}")
_EMAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}", re.ASCII)
_LINK = re.compile(
    r"https?://[^\s?#]{1,500}[?#&](?:[^\s=&]{1,40}=[^\s&]{0,200}&){0,8}(?:token|key|auth|session|sid|code|password|reset|sig)=[^\s&]{4,500}",
    re.IGNORECASE,
)
_CARD = re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?![\d])")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])")
_ID = (
    re.compile(r"[1-9](?<!\d.)\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx](?![\dA-Za-z])"),  # China
    re.compile(r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])"),  # United States
    re.compile(r"[A-CEGHJ-PR-TW-Z](?<![A-Za-z0-9].)[A-CEGHJ-PR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D](?![A-Za-z0-9])"),  # United Kingdom
)
_PHONE = re.compile(r"(?<![A-Za-z0-9_.,$€£¥/-])(?:\+|\(\+?)?\d(?:[ ().\-/]{0,2}\d){6,16}(?:x\d{2,5})?(?![A-Za-z0-9_%:])")
_DATE = re.compile(r"(?:19|20)\d\d ?[-/.] ?(?:\d\d?[-/.]\d|(?:19|20)?\d\d(?!\d))|\d\d?[-/.]\d\d?[-/.](?:19|20)\d\d")
_ORDER = (  # all but the middle three need a long number
    re.compile(r"(?<![A-Za-z0-9])#?[A-Z]{2,5}-?\d{6,14}(?:-\d{1,8})?(?![A-Za-z0-9])"),
    re.compile(r"(?<!\d)\d{3}-\d{7}-\d{7}(?!\d)"),
    re.compile(
        r"(?i:\b(?:order|booking|reservation|confirmation|reference|ref|ticket|case|tracking|invoice|pnr|policy|account|customer|parcel|member(?:ship)?|serial)\b"
        r"(?:\s{1,3}(?:number|no|num|nr|id|code|ref|reference))?\.?\s{0,3}(?:is\s|was\s|[:#=])?\s{0,3}#?)"
        r"((?=[A-Za-z-]{0,12}\d)[A-Z0-9](?:[A-Z0-9-]{3,24})[A-Z0-9])(?![A-Za-z0-9])"
    ),
    re.compile(
        r"(?i:\b(?:booking|reservation|confirmation|pnr)\b(?:\s{1,3}(?:number|no|code|ref|reference))?\s{0,3}(?:is\s|[:#])?\s{0,3})([A-Z0-9]{6})(?![A-Za-z0-9])"
    ),
    re.compile(r"(?:订单|单号|运单|快递|物流|流水|工单|保单|会员|客户|编号|序列)[号码]{0,2}[\s:：是为#]{0,4}([A-Za-z0-9-]{6,25})"),
    re.compile(r"(?<!\w)#\d{6,14}(?!\w)"),
)
_STREET = (
    "Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Way|Place|Pl|Close|Terrace|Square|Sq|Crescent|Cres|"
    "Highway|Hwy|Parkway|Pkwy|Circle|Cir|Trail|Gardens|Grove|Row|Mews|Hill|Park"
)
_POST_CODE = (
    re.compile(r"(?<![A-Za-z0-9])(?:GIR ?0AA|[A-PR-UWYZ][A-HK-Y]?\d[A-Z\d]? ?\d[ABD-HJLNP-UW-Z]{2})(?![A-Za-z0-9])"),
    re.compile(r"(?<!\w)[A-Z][a-z]{1,20},? {1,2}[A-Z]{2} {1,2}\d{5}(?:-\d{4})?(?!\w)"),
)
_ADDRESS = (
    re.compile(
        rf"\d(?<![\w.,$€£-].)\d{{0,4}}[A-Za-z]?,?\s{{1,2}}(?:(?:[NSEW]\.?|[A-Z][\w'.-]{{1,20}})\s{{1,2}}){{1,4}}(?:{_STREET})\b\.?"
        r"(?:,?\s{1,2}(?:Apt|Apartment|Suite|Ste|Unit|Flat|#)\.?\s{0,2}\w{1,6})?(?:,?\s{1,2}[A-Z]{2}\s{1,2}\d{5}(?:-\d{4})?)?"
    ),
    re.compile(
        r"(?<!\w)[A-ZÄÖÜ][\w-]{1,30}(?:straße|strasse|str\.|weg|platz|gasse|allee|katu|gatan|vej|gade|straat|laan)\s{1,2}\d{1,4}[a-z]?(?!\w)"
    ),
    re.compile(
        r"\d(?<!\w.)\d{0,4},?\s{1,2}(?:rue|avenue|av\.|boulevard|bd|place|chemin|via|calle|rua)\s{1,2}(?:\w[\w'-]{1,20}\s?){1,5}",
        re.IGNORECASE,
    ),
    re.compile(
        r"\d(?<![\w.,$€£-].)\d{0,4}[A-Za-z]?\s{1,2}(?:[^\W\d_][\w.'-]{1,24}\s{1,2}){1,3}\d{0,4}\.?,?\s{0,2}(?i:apt|apartment|suite|ste|unit|flat)\b\.?\s{0,2}#?\w{1,6}"
    ),
    re.compile(
        r"(?<!\w)(?:Unit|Suite|Apt\.?|PSC)\s{1,2}\d{1,5},?\s{1,2}Box\s{1,2}\d{1,6}|(?<!\w)(?:Suite|Apt\.|Apartment)\s{1,2}\d{1,5}(?!\w)"
    ),
    re.compile(r"(?i:\bP\.?\s?O\.?\s{1,2}Box)\s{1,2}\d{1,6}"),
    re.compile(
        r"(?:(?![寄到在住给于是])[一-龥]){1,8}(?:省|市|区|县|镇)[一-龥]{0,16}?(?:路|街|道|巷|弄|村|小区|花园|大厦)[一-龥]{0,6}\d{1,5}(?:号|弄|栋|幢|室)(?:[一-龥\d-]{0,12}(?:室|号|栋|单元|楼))?"
    ),
    re.compile(r"(?:(?![寄到在住给于是])[一-龥]){2,10}(?:路|街|道|巷)\d{1,5}(?:号|弄)(?:[一-龥\d-]{0,12}(?:室|号|栋|单元|楼))?"),
)


_CHINESE_PLACES = ("路", "街", "道", "巷", "弄", "村", "小区", "花园", "大厦")
#: pattern by pattern, what a glance must have seen, and without which of these words, in any case, it cannot match
_NEEDED: tuple[tuple[int, tuple[str, ...]], ...] = (
    (THEN_NAME, ()),
    (AFTER_STREET, ("straße", "strasse", "str.", "weg", "platz", "gasse", "allee", "katu", "gatan", "vej", "gade", "straat", "laan")),
    (THEN_STREET, ("rue", "avenue", "av.", "boulevard", "bd", "place", "chemin", "via", "calle", "rua")),
    (THEN_WORD, ("apt", "apartment", "suite", "ste", "unit", "flat")),
    (AFTER_STREET, ("unit", "suite", "apt", "psc", "apartment")),
    (AFTER_STREET, ("box",)),
    *[(THEN_HOUSE, _CHINESE_PLACES)] * 2,
)
_MORE = ~(NUMBER | TWO_DIGITS)  #: what there must be beside a few digits
_ADDRESS_LOOKS = reduce(or_, (seen for seen, _ in _NEEDED))
#: Without one of these a text is spared the patterns that need it: looking for a word is far cheaper than trying a pattern.
_CODE_HINTS = (
    *("order", "booking", "reserv", "confirm", "ref", "ticket", "case", "track", "invoice", "pnr", "policy", "account", "member", "serial"),
    *("号", "单", "编", "快递", "物流", "流水", "会员", "客户"),
)
_ADDRESS_HINTS = (
    *(f" {word}" for word in _STREET.split("|")),
    *("straße", "strasse", "str.", "weg", "platz", "gasse", "allee", "katu", "gatan", "vej", "gade", "straat", "laan"),
    *(
        "rue ",
        "avenue ",
        "boulevard ",
        "chemin ",
        "via ",
        "calle ",
        "rua ",
        "Box ",
        "box ",
        "BOX ",
        "Apt",
        "apt",
        "APT",
        "Suite",
        "suite",
        "Unit ",
        "unit ",
    ),
    *("路", "街", "道", "巷", "弄", "村", "区"),
)


def _finders(text: str, look: int) -> Iterator[tuple[str, Finder]]:
    """What may stand in a text: the surer kinds first, as what they take, later ones leave alone."""
    has_number = look & FIVE_DIGITS and _FIVE_IN_A_ROW.search(text) is not None
    if "=" in text:
        yield "link", _links
    if "@" in text and _EMAIL_HINT.search(text):
        yield "e-mail", _emails
    if has_number:
        yield from (("iban", _ibans), ("id", _ids), ("card", _cards))
    if look & CODE and (has_number or _has_any(text.lower(), _CODE_HINTS)):
        yield "order", _orders if has_number else _named_orders
    if has_number:
        yield "phone", _phones
    if look & _ADDRESS_LOOKS:
        yield "address", partial(_addresses, look=look)
    if look & TWO_DIGITS and look & CODE and look & (AFTER_CAPITALS | THEN_CAPITALS):
        yield "post code", _post_codes


def _has_any(text: str, words: tuple[str, ...]) -> bool:
    for word in words:  # noqa: SIM110 - any() with a generator takes three times as long here
        if word in text:
            return True
    return False


def _matches(*patterns: re.Pattern[str]) -> Finder:
    def find(text: str) -> Iterator[tuple[int, int]]:
        for pattern in patterns:
            group = 1 if pattern.groups else 0
            for found in pattern.finditer(text):
                yield found.span(group)

    return find


_links, _emails, _ids = _matches(_LINK), _matches(_EMAIL), _matches(*_ID)
_orders, _named_orders = _matches(*_ORDER), _matches(*_ORDER[2:5])
_post_codes = _matches(*_POST_CODE)


def _addresses(text: str, *, look: int) -> Iterable[tuple[int, int]]:
    lower = text.lower()
    worth_a_try = [
        pattern for pattern, (seen, words) in zip(_ADDRESS, _NEEDED, strict=True) if look & seen and (not words or _has_any(lower, words))
    ]
    found = list(_matches(*worth_a_try)(text)) if worth_a_try else []
    return found if found and _has_any(text, _ADDRESS_HINTS) else ()


def _cards(text: str) -> Iterator[tuple[int, int]]:
    return (found.span() for found in _CARD.finditer(text) if _passes_luhn(_digits(found[0])))


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    return (found.span() for found in _IBAN.finditer(text) if _passes_mod_97(found[0].replace(" ", "")))


def _phones(text: str) -> Iterator[tuple[int, int]]:
    for number, found in enumerate(_PHONE.finditer(text)):
        if number == _MOST_PHONES:
            return
        if not _DATE.match(found[0]) and _is_phone(found[0]):
            yield found.span()


def _is_phone(written: str) -> bool:
    import phonenumbers

    for region in (None,) if written.lstrip("(").startswith("+") else _REGIONS:
        try:
            if phonenumbers.is_valid_number(phonenumbers.parse(written, region)):
                return True
        except phonenumbers.NumberParseException:
            continue
    return False


def _digits(text: str) -> list[int]:
    return [int(char) for char in text if char.isdigit()]


def _passes_luhn(digits: list[int]) -> bool:
    doubled = [2 * digit - 9 * (digit > 4) for digit in digits[-2::-2]]
    return len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _passes_mod_97(iban: str) -> bool:
    return len(iban) >= 15 and int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97 == 1
