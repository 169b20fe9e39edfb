"""`earshot score`: JSON lines in, JSON lines out, in the same order, without a database."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import orjson

from earshot.case import Route
from earshot.errors import BadInput
from earshot.mention import Score, ScoredMention
from earshot.rooms import Rooms, read_policy
from earshot.settings import load_settings
from listener.archive import parse_score_line

#: the questions of the contract; the house may ask more, these always stand in the output
QUESTIONS = ("sentiment", "anger", "intent", "asks", "needs", "risk", "urgent", "toxicity", "spam", "language")
BATCH = 512


def score_lines(lines: Iterable[bytes], out: BinaryIO, errors: TextIO, *, policy: Path | None = None) -> int:
    """Write one line per good line, in order; returns how many were bad. A bad line goes to `errors` with its number and the reason."""
    settings = load_settings(policy=policy)
    rooms = Rooms(policy=read_policy(settings), accurate_model=settings.accurate_model, accurate_share=settings.accurate_share)
    rooms.check()
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    bad = 0
    while batch := list(islice(numbered, BATCH)):
        mentions = []
        for number, line in batch:
            try:
                mentions.append(parse_score_line(line, number))
            except BadInput as err:
                errors.write(f"{err}\n")
                bad += 1
        scored = rooms.score(mentions)
        routes = rooms.triage(scored, now=datetime.now(UTC))
        out.writelines(_output(each, route) for each, route in zip(scored, routes, strict=True))
        out.flush()
    return bad


def _output(scored: ScoredMention, route: Route) -> bytes:
    scores = {score.name: score for score in scored.scores}
    line: dict[str, Any] = {
        "id": scored.mention.native_id,
        "scores": {name: _score(scores[name]) for name in QUESTIONS},
        "route": {"tier": route.tier.value, "outcome": route.outcome.value, "reason": route.reason},
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _score(score: Score) -> dict[str, Any]:
    return {"label": score.label, "value": round(score.value, 4), "confidence": round(score.confidence, 4), "by": score.by}
