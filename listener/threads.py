"""A conversation in the order in which it is read: every answer below what it answers, older ones first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from earshot.mention import Mention

MOST_POSTS = 200  #: of a conversation


def in_reading_order(mentions: Iterable[Mention], *, around: str) -> tuple[Mention, ...]:
    """Each post once, 200 at most, among them `around` and what stands above it; what answers none of them stands with those that began a
    conversation.
    """
    posts = {mention.native_id: mention for mention in mentions}
    below: dict[str | None, list[Mention]] = {}
    for post in posts.values():
        above = post.parent_id if post.parent_id in posts and post.parent_id != post.native_id else None
        below.setdefault(above, []).append(post)
    for answers in below.values():
        answers.sort(key=lambda post: (post.posted_at, len(post.native_id), post.native_id), reverse=True)
    waiting, ordered = below.get(None, []), {}
    while waiting:
        post = waiting.pop()
        if post.native_id not in ordered:
            ordered[post.native_id] = post
            waiting += below.get(post.native_id, [])
    circles = [post for post in posts.values() if post.native_id not in ordered]  # posts that answer each other: nobody began
    return _cut([*ordered.values(), *circles], above=_above(around, posts))


def _above(native_id: str | None, posts: Mapping[str, Mention]) -> set[str]:
    """The post and those that it answers, one by one."""
    found: set[str] = set()
    while native_id is not None and native_id in posts and native_id not in found and len(found) < MOST_POSTS:
        found.add(native_id)
        native_id = posts[native_id].parent_id
    return found


def _cut(ordered: Sequence[Mention], *, above: set[str]) -> tuple[Mention, ...]:
    others = MOST_POSTS - len(above)
    kept = above | set(islice((post.native_id for post in ordered if post.native_id not in above), others))
    return tuple(post for post in ordered if post.native_id in kept)
