"""Where somebody lives: addresses as they are written in English, in the rest of Europe and in Chinese, and post codes.

A European address is told by the shape of its words. Each word becomes a letter ("221 Baker Street, London" reads `NCS,C`), and short
patterns over these letters find it; so the patterns need not know how a street is spelt, nor the words where it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

Place = tuple[int, int]

_TOKEN = re.compile(
    r"https?://\S{1,600}|[@#$€£¥+][^\s,\0]*|\d(?:[\w.,:/%-]*\w)?|[^\W\d_](?:[\w'’-]{0,30}\w)?|[\n\r>|][\s>|?*]*|\0+|[^\s\w]|_"
)
_HOUSE = re.compile(r"\d+[A-Za-z]?(?:[/-]\d{1,4}[A-Za-z]?)?")
_ORDINAL = re.compile(r"\d{1,3}(?:st|nd|rd|th)", re.IGNORECASE)
_YEAR = re.compile(r"(?:19|20)\d\d")

#: What the letters stand for: n N # a number of 1-2, 3-5, 6 and more digits, Y a year; C a name, p a particle, w any other word; S a word
#: for streets, R one that opens a street's name, Q one that does both, E one that ends like a street; U u a flat, surely or perhaps, B b a
#: box; g G what stands in an army's address; M a month or measure; a "address", l where one lives or sends to, t "at", k "corner",
#: & "and"; , . : as written; / a new line; o other punctuation; x anything else
_WORDS = {
    "S": "street str road rd ave lane blvd st ln drive dr court ct way pl close terrace square squares sq crescent cres highway hwy "
    "parkway pkwy circle cir trail gardens grove row mews hill park alley walk quay wharf heights ridge loop turnpike",
    "Q": "avenue boulevard place",
    "R": "rue rúa avenida avda bd chemin viale vicolo piazza piazzetta corso calle paseo rua largo praça travessa carrer ul ulica πλατεία "
    "οδός",
    "p": "de del dei degli della der des do da dos das di du la las lo los le les el van von den zur zum am an of the u út tér utca ter "
    "centre",
    "U": "apt apartment suite",
    "u": "ste unit flat",
    "B": "box",
    "b": "postbox postfach",
    "G": "apo fpo dpo",
    "g": "psc usns uss uscgc usnv",
    "M": "jan feb mar apr may jun jul aug sep sept oct nov dec january february march april june july august september october november "
    "december mon tue tues wed thu thur thurs fri sat sun monday tuesday wednesday thursday friday saturday sunday am pm gmt est pst "
    "day days hour hours hrs min mins minutes week weeks month months year years",
    "a": "address addresses addr",
    "l": "live lives lived living located situated reside resides residing house home office restaurant shop station send sent ship "
    "shipped shipping sending deliver delivered delivery mail mailed return taxi cab moved meet enter arrived",
    "t": "at on in to is",
    "k": "corner",
    "&": "and",
    "w": "a i we you he she it they me us my your our but or so if up out go now not yes for with from by as be get got all just too this "
    "that these those what when who how why more",
}
_LETTER_OF = {word: letter for letter, words in _WORDS.items() for word in words.split()}
_PLAIN_STREETS = frozenset(("street", "str", "road", "rd", "ave", "lane", "blvd"))  #: so also where they are not capitalised


def _ways_to_write(word: str, letter: str) -> tuple[str, ...]:
    if letter == "S" and word not in _PLAIN_STREETS:
        return word.capitalize(), word.upper()
    return (word, word.upper()) if letter == "l" else (word, word.capitalize(), word.upper())


#: as `str.split` gives them: it costs a third of finding words
_TRIGGERS = frozenset(
    f"{before}{written}{behind}"
    for word, letter in _LETTER_OF.items()
    if letter in "SQRUuBbgalk"
    for written in _ways_to_write(word, letter)
    for before in ("", "(", '"')
    for behind in ("", *",.:;!?)")
)
_NEUTRAL = frozenset("?!()\"“”'‘’;…")
_ENDINGS = (
    *(
        "straße",
        "strasse",
        "weg",
        "platz",
        "gasse",
        "allee",
        "damm",
        "ufer",
        "brücke",
        "katu",
        "kuja",
        "tie",
        "gatan",
        "vägen",
        "gränd",
        "vej",
    ),
    *(
        "gade",
        "stræde",
        "straat",
        "laan",
        "plein",
        "kade",
        "dreef",
        "steenweg",
        "veien",
        "vegen",
        "vegur",
        "braut",
        "götu",
        "utca",
        "ulice",
    ),
)

_NAMES = r"(?:[CEpQ]|[RS]\.?|p\.(?=[nN])){1,5}"
_TWO_NAMES = r"(?:[CEpQ]|[RS]\.?){2,4}"
_NUMBERS = r"[nNY](?:,?[nNY])?,?"
_THERE = (
    r"[t:][t:/]{0,2}(?:wt|pw{1,2}p)?"
    rf"((?:pkp)?(?:{_NUMBERS}(?:{_NAMES}[nN]\.?|[Cp]{{1,4}}[SQ]|w{{1,3}}[SQ]|[wCp]{{1,4}}[nN]?,?[Uu]\.?[nN])"
    rf"|N(?:[nN]C{{1,3}}|[wCp]{{1,3}}[nN])|(?:C{{1,3}}&)?(?:E|{_TWO_NAMES})[nNY]|C[nN](?=S))\.?)"
)
_CORNER = (
    rf"k(p(?:{_NUMBERS}{_NAMES}[nN]?\.?&(?:{_NUMBERS})?{_NAMES}|{_NAMES}[nN]\.?&(?:{_NAMES}|b)[nN]?"
    rf"|{_NAMES}&(?:{_NUMBERS}{_NAMES}|(?:{_NAMES}|b)[nN])|w{{1,3}}[nN]\.?&w{{1,3}}[nN]?)\.?)"
)
#: each with letters of which it needs one
_SHAPES = tuple(
    (frozenset(letters), re.compile(shape))
    for letters, shape in (
        ("a", rf"a[wCpt,&o]{{0,6}}?{_THERE}"),  # my address is ...
        ("l", rf"l[wCptao]{{0,4}}?{_THERE}"),  # please send it to ...
        ("k", _CORNER),  # the corner of 7 Elm Street and King Road
        ("SQ", rf"(?<!x){_NUMBERS}(?:[CEpS]\.?){{1,4}}?[SQ]\.?"),  # 221 Baker Street
        ("E", r"[nNY]?C{0,2}E[nN](?![x:])"),  # Lindenweg 7
        ("RQ", r"(?<!x)[nNY]{1,2},?(?:[RQ]\.?p{0,3}C|Rp{1,3}w)[CpE]{0,3}[nN]?"),  # 7, avenue des Fleurs
        ("R", r"R\.?p{0,2}C{1,3},?[nNY]|(?<!x)[nNY]{1,2}R[pw]{1,3}[nN]"),  # ulica Miła 53
        ("S", r"(?:[CEp]|R\.?){2,4}[nNY]S"),  # Brunnen Platz 7 street
        ("N", rf"(?<![xUu])N[nN]?{_NAMES}[nN]\.?(?=[,/.UuC]|\Z)"),  # 3421 Fagradalsbraut 71
        ("Uu", r"(?<!x)[nNY]{1,2}[CwlpEQRS]{1,5}[nN]?[,.]{0,2}/?[Uu]\.?[nNC]|U\.?[nN]"),  # 14b Elm tree house Apt 3
        ("Bgb", r"[gUu]\.?[nN],?B[nN](?:[,/]?GCN)?|gC/?GCN|b[nN]"),  # PSC 6293, Box 8158
    )
)
_REST = re.compile(
    r"(?:[,/.]{0,2}[CpSEQR]{0,3}[,/]{0,2}[Uu]\.?[nNC](?:[,/][Cp]{1,3}(?=[,/.o]|\Z)){0,3}){0,2}"
    r"(?:(?:[,/.]{0,2}o?[CpSEMt]o?){1,6}[,/]{0,2}[nNY#](?:-?[nN](?![nN])|C(?![CwpS]))?(?![:x]))?"
)

_HAN = r"(?:(?![寄到在住给于是改送去来下的为至从和与跟把了])[一-龥])"
_FLAT = r"(?:[一-龥\dA-Za-z-]{0,12}(?:室|号|栋|单元|楼|层|座)(?:\d{3,4}(?!\d))?)?"
_CHINESE = (
    re.compile(
        rf"{_HAN}{{1,8}}(?:省|市|区|县|镇|乡|州|旗)[一-龥]{{0,16}}?(?:路|街|道|巷|弄|村|里|园|苑|小区|花园|大厦|广场)"
        rf"[一-龥]{{0,6}}\d{{1,5}}(?:号|弄|栋|幢|室|楼|座){_FLAT}"
    ),
    re.compile(rf"{_HAN}{{2,10}}(?:路|街|道|巷)\d{{1,5}}(?:号|弄){_FLAT}"),
)
_BOX = re.compile(r"\bP\.?\s?O\.?\s{1,2}Box\s{1,2}\d{1,6}", re.IGNORECASE)
_POST_CODES = (
    re.compile(r"([A-PR-UWYZ](?<![A-Za-z0-9].)[A-HK-Y]?\d[A-Z\d]? ?\d[ABD-HJLNP-UW-Z]{2})(?![A-Za-z0-9])"),
    re.compile(r"([A-Z](?<!\w.)[a-z]{1,20},? {1,2}[A-Z]{2} {1,2}\d{5}(?:-\d{4})?)(?!\w)"),
)
_NAMED_POST_CODES = (
    re.compile(r"\b(?i:zip|zip ?code|post ?code|postal code)\b(?: is|:| was)? {0,2}(\d{3,6}(?:-\d{3,4}| \d{2}(?!\d)| [A-Z]{2}\b)?)(?!\w)"),
    re.compile(r"(?:邮编|邮政编码)[:： 是为]{0,3}(\d{6})(?!\d)"),
)


def named_addresses(text: str) -> Iterator[Place]:
    """Those that hold one of the words of streets or flats, or come after one that says where somebody lives."""
    return addresses(text) if not _TRIGGERS.isdisjoint(text.split()) else iter(())


def addresses(text: str) -> Iterator[Place]:
    """All in Latin, Greek and Cyrillic letters."""
    letters = "".join(map(_letter, _TOKEN.findall(text)))
    found = [place for needs, shape in _SHAPES if not needs.isdisjoint(letters) for place in _matches(shape, letters)]
    if found:
        tokens = [token.span() for token in _TOKEN.finditer(text)]
        yield from ((tokens[first][0], tokens[end - 1][1]) for first, end in found)
    if "B" in letters:
        yield from (box.span() for box in _BOX.finditer(text))


def chinese_addresses(text: str) -> Iterator[Place]:
    for pattern in _CHINESE:
        yield from (found.span() for found in pattern.finditer(text))


def post_codes(text: str) -> Iterator[Place]:
    for pattern in _POST_CODES:
        yield from (found.span(1) for found in pattern.finditer(text))


def named_post_codes(text: str) -> Iterator[Place]:
    lower = text.lower()
    if "zip" in lower or "post" in lower or "邮" in text:
        for pattern in _NAMED_POST_CODES:
            yield from (found.span(1) for found in pattern.finditer(text))


def _matches(pattern: re.Pattern[str], letters: str) -> Iterator[tuple[int, int]]:
    """From the first token to behind the last, with the towns and post codes that follow."""
    for found in pattern.finditer(letters):
        first, end = found.span(pattern.groups)
        rest = _REST.match(letters, end)
        yield first, rest.end() if rest else end


@lru_cache(maxsize=1 << 16)
def _letter(word: str) -> str:
    """What kind of word it is, see `_WORDS`; or number, or mark."""
    if word[0].isdecimal():
        return _letter_of_number(word)
    if not word[0].isalpha():
        return _letter_of_mark(word)
    lower, is_capital = word.lower(), word[0].isupper()
    known = _LETTER_OF.get(lower)
    if known == "S" and not is_capital and lower not in _PLAIN_STREETS:
        return "w"
    if known == "U" and not is_capital:
        return "u"
    if known or not is_capital:
        return known or "w"
    return "E" if lower.endswith(_ENDINGS) else "C"


def _letter_of_number(number: str) -> str:
    if not _HOUSE.fullmatch(number) or number == "24/7":
        return "C" if _ORDINAL.fullmatch(number) else "x"
    if _YEAR.fullmatch(number):
        return "Y"
    length = len(re.split(r"\D", number, maxsplit=1)[0])
    return "n" if length < 3 else "N" if length < 6 else "#"


def _letter_of_mark(mark: str) -> str:
    if mark[0] in "\n\r>|":
        return "/"
    return mark if mark in ",.:" else "o" if mark in _NEUTRAL else "x"
