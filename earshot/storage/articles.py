"""Knowledge articles as they are stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from earshot.storage.database import Database
from earshot.storage.tables import ArticleRow, table

_ARTICLE = table(ArticleRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    slug: str
    title: str
    lang: str
    topic: str
    product: str = ""
    body: str  #: Markdown
    words: tuple[str, ...] = ()  #: what people type who look for it


class Articles:
    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, articles: Sequence[Article], *, now: datetime) -> None:
        """Write articles; one with a known slug is replaced."""
        insert = (sqlite if self._db.is_sqlite else postgresql).insert(_ARTICLE)
        fields = ("title", "lang", "topic", "product", "body", "words")
        statement = insert.on_conflict_do_update(index_elements=["slug"], set_={f: insert.excluded[f] for f in (*fields, "updated_at")})
        rows = [{"slug": a.slug, **{f: getattr(a, f) for f in fields}, "updated_at": now} for a in articles]
        if rows:
            with self._db.writing() as connection:
                connection.execute(statement, rows)

    def all(self) -> list[Article]:
        with self._db.reading() as connection:
            return [
                Article(
                    slug=row["slug"],
                    title=row["title"],
                    lang=row["lang"],
                    topic=row["topic"],
                    product=row["product"],
                    body=row["body"],
                    words=tuple(row["words"] or ()),
                )
                for row in connection.execute(select(_ARTICLE).order_by(_ARTICLE.c.slug)).mappings()
            ]
