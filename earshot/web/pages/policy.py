"""The routing rules as a table in words: what is asked, who answers, how soon, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

from fastapi.responses import Response

from earshot.web import words
from earshot.web.visit import Visiting

_COMPARED = {">=": "at least", ">": "more than", "<=": "at most", "<": "less than"}
_VALUE = re.compile(r"([a-z][a-z0-9_]*)(?:\.(value|confidence))? *(>=|<=|>|<) *(\$?[\w.+-]+)")
_LABEL = re.compile(r"([a-z][a-z0-9_]*) +(is not|is|not in|in) +(\S.*)")


def policy(visit: Visiting) -> Response:
    policy = visit.rooms.policy
    thresholds = {t.name: t.value for t in policy.thresholds}
    rows = [(rule, [in_words(c.text, thresholds) for c in rule.when]) for rule in policy.rules]
    return visit.page("policy.html", policy=policy, rows=rows, length=length, versions=visit.store.policies.versions(limit=5))


def in_words(condition: str, thresholds: Mapping[str, float]) -> str:
    """ "anger.value >= $angry" -> "anger is at least 0.6 (angry)" """
    if found := _VALUE.fullmatch(condition):
        name, part, sign, bound = found.groups()
        number = f"{thresholds[bound[1:]]:g} ({bound[1:].replace('_', ' ')})" if bound.startswith("$") else bound
        if part == "confidence":
            return f"sureness of {_subject(name)} is {_COMPARED[sign]} {number}"
        return f"{_subject(name)} is {_COMPARED[sign]} {number}"
    if found := _LABEL.fullmatch(condition):
        name, how, labels = found.groups()
        each = " or ".join(label.strip() for label in labels.split(","))
        return f"{_subject(name)} is {'not ' if 'not' in how else ''}{each}"
    return condition


def _subject(name: str) -> str:
    return {"asks": "wish for an answer", "urgent": "urgency"}.get(name) or words.QUESTIONS.get(name, name).lower()


def length(time: timedelta | None) -> str:
    return "–" if time is None else words.span(time)
