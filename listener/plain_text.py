"""HTML that a stranger wrote, read as the text a person would see. Linear in its length, whatever the markup.

The result is text, not markup: `&lt;b&gt;` comes out as `<b>`, and pages escape it like any other text.
"""

from __future__ import annotations

import re
from html import unescape

MAX_TEXT = 40_000  #: characters of a post that we keep
_MAX_HTML = 10 * MAX_TEXT

#: No quantifier here reads past the next "<" or gives back what it took, so a run of half-open tags costs one pass.
_TAG = re.compile(r"""<(/?)([a-zA-Z][\w:-]*)((?:[^<>"']|"[^"<]*"|'[^'<]*')*+)>|<[!?/a-zA-Z][^<>]*>""")
_HREF = re.compile(r"""\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+|[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}(?:/\S*)?", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
_BREAKS = dict.fromkeys(("br", "li", "tr", "div", "ul", "ol", "table", "dt", "dd"), "\n")
_BREAKS |= dict.fromkeys(("p", "pre", "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "section", "article", "figure"), "\n\n")
_UNSEEN = frozenset({"script", "style", "template", "iframe", "object", "noscript", "svg", "head"})


def clip(text: str, limit: int = MAX_TEXT) -> str:
    """`text` without NUL characters, which PostgreSQL refuses, and no longer than `limit`."""
    return text.replace("\0", "")[:limit]


def plain_text(html: str) -> str:
    """What a reader sees of `html`: paragraphs parted by a blank line, at most `MAX_TEXT` characters.

    A link whose text looks like an address is replaced by the address it leads to: link text can lie.
    """
    page = _Page()
    html = _without_comments(html[:_MAX_HTML])
    end = 0
    for tag in _TAG.finditer(html):
        page.see(html[end : tag.start()])
        end = tag.end()
        if tag[2]:
            page.pass_tag(tag[2].lower(), tag[3], closes=bool(tag[1]))
    page.see(html[end:])
    return page.text()


class _Page:
    """What was read so far: pieces of text, the open link, and the invisible element that we are in."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._unseen = ""
        self._preformatted = False
        self._link: tuple[int, str] | None = None

    def see(self, data: str) -> None:
        if data and not self._unseen:
            self._pieces.append(unescape(data if self._preformatted else _SPACE.sub(" ", data)))

    def pass_tag(self, name: str, attributes: str, *, closes: bool) -> None:
        if self._unseen:
            if closes and name == self._unseen:
                self._unseen = ""
            return
        if name in _UNSEEN and not closes and not attributes.endswith("/"):
            self._unseen = name
        elif name == "a":
            self._pass_link(attributes, closes=closes)
        elif name in _BREAKS:
            self._pieces.append(_BREAKS[name])
            self._preformatted = not closes if name == "pre" else self._preformatted

    def _pass_link(self, attributes: str, *, closes: bool) -> None:
        if not closes:
            href = _HREF.search(attributes)
            self._link = (len(self._pieces), unescape(next(filter(None, href.groups()), ""))) if href else None
        elif self._link is not None:
            start, target = self._link
            if target.startswith(("http://", "https://")) and _ADDRESS.fullmatch("".join(self._pieces[start:]).strip()):
                self._pieces[start:] = [target]
            self._link = None

    def text(self) -> str:
        lines = clip("".join(self._pieces)).split("\n")
        tidy = "\n".join(" ".join(line.split()) for line in lines)
        return re.sub(r"\n{3,}", "\n\n", tidy).strip()


def _without_comments(html: str) -> str:
    first, *commented = html.split("<!--")
    return first + "".join(part.partition("-->")[2] for part in commented)
