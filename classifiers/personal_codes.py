"""What opens a door: e-mail addresses, links with a token in them, codes of orders and bookings."""

from __future__ import annotations

import re
from collections.abc import Iterator

Place = tuple[int, int]
REACH = 40  #: characters before a number in which a word may say what it is

_LETTER = r"A-Za-z0-9\u00c0-\u024f"
_EMAIL = re.compile(
    rf"[{_LETTER}.%+_-](?<![{_LETTER}.%+_-].)[{_LETTER}.%+_-]{{0,63}}@[{_LETTER}-]{{1,63}}(?:\.[{_LETTER}-]{{1,63}}){{1,5}}"
)
_SPELT_EMAIL = re.compile(
    rf"(?<![{_LETTER}.%+_-])[{_LETTER}.%+_-]{{1,64}} ?[\[(]at[\])] ?[{_LETTER}-]{{1,63}}"
    rf"(?: ?(?:\.|[\[(]dot[\])]) ?[{_LETTER}-]{{2,63}}){{1,5}}",
    re.IGNORECASE,
)
_OPENERS = (
    "(?:access_?|auth_?|reset_?|refresh_?|confirm(?:ation)?_?|invite_?|api_?|magic_?)?(?:token|key|code|password|passwd|pwd|secret|signature|sig|otp|sid)|"
    "auth|session(?:_?id)?|reset|confirm(?:ation)?|invite|ticket|jwt|verif(?:y|ication)|credential|hash"
)
_DOORS = "reset|confirm|verify|activate|invite|unsubscribe|magic|login|password|auth|track"
_URL = re.compile(r"https?://[^\s<>\"]{1,600}", re.IGNORECASE)
_TOKEN = re.compile(
    rf"[?#&](?:{_OPENERS})=[^&]{{4}}|/(?:[\w-]{{0,20}}[_-])?(?:{_DOORS})(?:[_-][\w-]{{0,20}})?/(?=[^/?]{{0,60}}\d)[\w.~-]{{12}}|://[^/:@]{{1,100}}:[^/@]{{1,100}}@",
    re.IGNORECASE,
)
_THINGS = (
    "order|booking|reservation|confirmation|reference|ref|ticket|case|tracking|invoice|pnr|policy|account|acct|customer|parcel|"
    "member(?:ship)?|serial|shipment|consignment|claim|complaint|receipt"
)
_CHINESE_THINGS = "订单|訂單|单号|單號|运单|快递|物流|流水|工单|保单|会员|會員|客户|编号|編號|序列|取件码|验证码|申请号|票号|包裹"
_NUMBER = r"(?:\s{1,3}(?:number|no|num|nr|id|code|ref|reference))?\.?\s{0,3}(?:is\s|was\s|[:#])?\s{0,3}#?"
_CODE = re.compile(r"[A-Z0-9](?<![A-Za-z0-9-].)(?=[A-Za-z-]{0,11}\d|(?<=\d))[A-Z0-9-]{3,24}[A-Z0-9](?![A-Za-z0-9])")
_CODE_SAID = re.compile(
    rf"\b(?:{_THINGS})s?\b{_NUMBER}\Z|(?:{_CHINESE_THINGS})[号號码碼]{{0,2}}[\s:：是为#]{{0,4}}\Z",
    re.IGNORECASE,
)
_BOOKED = re.compile(
    r"(?i:\b(?:booking|reservation|confirmation|pnr|record locator)\b)"
    r"(?i:(?:\s{1,3}(?:number|no|code|ref|reference))?\s{0,3}(?:is\s|[:#])?\s{0,3})"
    r"(?!PLEASE|THANKS|NUMBER|STATUS|ONLINE)([A-Z0-9]{6})(?![A-Za-z0-9])"
)
_PLAIN = (
    re.compile(r"[A-Z](?<![A-Za-z0-9].)[A-Z]{1,4}-?\d{6,14}(?:-\d{1,8})?(?![A-Za-z0-9])"),
    re.compile(r"\d(?<!\d.)\d{2}-\d{7}-\d{7}(?!\d)"),
    re.compile(r"1(?<!\w.)Z[0-9A-Z]{16}(?!\w)"),
    re.compile(r"#(?<!\w.)\d{6,14}(?!\w)"),
)


def emails(text: str) -> Iterator[Place]:
    return _all(text, _EMAIL)


def spelt_emails(text: str) -> Iterator[Place]:
    return _all(text, _SPELT_EMAIL)


def links(text: str) -> Iterator[Place]:
    """Links that let in whoever has them."""
    return (found.span() for found in _URL.finditer(text) if _TOKEN.search(found[0]))


def named_codes(text: str) -> Iterator[Place]:
    """Codes that are called one: "order no. 83920"."""
    return called(_CODE_SAID, _CODE, text)


def booked_codes(text: str) -> Iterator[Place]:
    """Six signs, as bookings have them, that are called one."""
    lower = text.lower()
    return (
        _all(text, _BOOKED)
        if "book" in lower or "reserv" in lower or "confirm" in lower or "pnr" in lower or "locator" in lower
        else iter(())
    )


def plain_codes(text: str) -> Iterator[Place]:
    """Codes that show by themselves what they are."""
    return _all(text, *_PLAIN)


def called(said: re.Pattern[str], code: re.Pattern[str], text: str) -> Iterator[Place]:
    """Codes before which stands what says that they are one; it must end there (`\\Z`) and cannot hold a code itself."""
    before = 0
    for found in code.finditer(text):
        start, end = found.span()
        if start - before > 1 and said.search(text, max(before, start - REACH), start):
            yield start, end
        before = end


def _all(text: str, *patterns: re.Pattern[str]) -> Iterator[Place]:
    for pattern in patterns:
        group = 1 if pattern.groups else 0
        for found in pattern.finditer(text):
            yield found.span(group)
