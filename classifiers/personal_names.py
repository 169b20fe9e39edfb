"""Who a number belongs to: a name beside it. A name by itself is nothing to hide; with a phone number it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

Place = tuple[int, int]

_REACH = 60  #: characters from the number, within which a name belongs to it
_CAPITAL = r"[^\W\d_a-zß-öø-ÿ\u2e80-\uffff]"
_NAME = rf"{_CAPITAL}(?:[\w'’-]{{1,24}}|\.)?"
_NAMES = rf"{_NAME}(?:[ ]{{1,3}}(?:(?:de|del|van|von|der|da|di|du|la|le|bin|al|dos)[ ])?{_NAME}){{0,3}}"
_CALLED = re.compile(
    rf"(?i:\bname(?:\sis|:|\s-)?\s{{1,8}}|\b(?:mr|mrs|ms|miss|dr|prof|herr|frau|mme)\b\.?\s"
    rf"|\b(?:this is|i am|i'm|ask for|attn:?|c/o|contact|speak to|signed)\s)({_NAMES})"
)
_CHINESE_CALLED = re.compile(
    r"(?:收件人|收货人|联系人|姓名|户名|机主|我叫|我是)[:： 是为]{0,3}((?:欧阳|司马|上官|诸葛|[一-龥])[一-龥]{1,2})(?![一-龥])"
)
_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟"
    "谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
)
_BEFORE = re.compile(
    rf"(?<![\w'’@#-])(?!(?i:dear|hi|hello|hey|thanks|call|text|contact|from|to)\b)({_NAME}(?:[ ]{_NAME}){{1,2}})(?:'s)?[\s,:;(-]{{1,4}}"
    rf"(?:(?:on|at|phone|tel|mobile|cell|mob|email|e-mail|ph|number|is|,|:|-)[\s.:]{{1,3}}){{0,3}}\(?\Z",
)
_CHINESE_BEFORE = re.compile(rf"(?<![一-龥])([{_SURNAMES}][一-龥]{{1,2}})[\s,，:：、/-]{{0,3}}(?:电话|手机)?[:： ]{{0,2}}\Z")
_CHINESE_BEHIND = re.compile(rf"[\s,，:：、/-]{{1,3}}([{_SURNAMES}][一-龥]{{1,2}})(?![一-龥])")
_NO_NAMES = (
    "order phone tel mobile cell card visa mastercard amex call text email mail please thanks thank hi hello hey dear my the your our "
    "his her this that number no account fax office desk home address iban ssn contact customer service support help street road if or "
    "and for what when why how where is was i we you they it am pm ltd inc llc gmbh co plc corp monday tuesday wednesday thursday friday "
    "saturday sunday"
)
_NEVER_IN_NAMES = frozenset(_NO_NAMES.split())


def names(text: str, owned: Sequence[tuple[int, int, str]]) -> Iterator[Place]:
    """Names within reach of what is owned (place and kind, in order) that are called one, and those right before or behind it."""
    for first, end in _near(owned, len(text)):
        for pattern in (_CALLED, _CHINESE_CALLED):
            yield from (found.span(1) for found in pattern.finditer(text, first, end))
    since = 0
    for first, end, kind in owned:
        for pattern in (_BEFORE, _CHINESE_BEFORE) if first - since > 1 else ():
            found = pattern.search(text, max(since, first - _REACH), first)
            if found and _is_name(found[1], text[found.end(1) : first], kind):
                yield found.span(1)
        behind = _CHINESE_BEHIND.match(text, end)
        if behind:
            yield behind.span(1)
        since = end


def _is_name(words: str, gap: str, kind: str) -> bool:
    """What stands before an address, with nothing but a blank between, is as often the place's name."""
    return _NEVER_IN_NAMES.isdisjoint(words.lower().split()) and (kind != "address" or gap.strip(" ") != "")


def _near(owned: Sequence[tuple[int, int, str]], length: int) -> list[Place]:
    """Stretches around what is owned, put together where they meet, so that none is read twice."""
    near: list[Place] = []
    for first, end, _ in owned:
        first, end = max(0, first - _REACH), min(length, end + _REACH)
        if near and first <= near[-1][1]:
            near[-1] = near[-1][0], end
        else:
            near.append((first, end))
    return near
