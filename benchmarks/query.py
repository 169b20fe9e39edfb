"""How many posts a second are asked 200 queries? In one pass, and by a plain loop that asks each query of each post by itself.

    python benchmarks/query.py [--queries 200] [--posts 10000] [--seed 1]

Posts and queries are invented: words as frequent as in any language, of 4 to 60 a post, one post in six in Chinese; queries of a brand or
product with synonyms, phrases, NEAR, wildcards, exact case, exclusions and fields. Both must find the same. CPU seconds, best of three
(the plain loop once).
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from earshot.mention import Author, Mention
from listener.query import Matcher, Query, read
from listener.query.tree import And, Field, Followers, Near, Node, Not, Or, Term
from listener.query.words import in_words, pattern, token_starts

NOW = datetime(2026, 11, 1, tzinfo=UTC)
LETTERS, CHARACTERS = "etaoinshrdlucmfwypvbgk", [chr(point) for point in range(0x4E00, 0x4E00 + 1_500)]
WORDS = 20_000


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--queries", type=int, default=200)
    ask.add_argument("--posts", type=int, default=10_000)
    ask.add_argument("--seed", type=int, default=1)
    given = ask.parse_args()
    dice = random.Random(given.seed)
    words = list(dict.fromkeys("".join(dice.choices(LETTERS, k=dice.randint(2, 10))) for _ in range(WORDS)))
    chinese = ["".join(dice.choices(CHARACTERS, k=dice.randint(2, 4))) for _ in range(2_000)]
    posts = [invented_post(dice, words, chinese) for _ in range(given.posts)]
    queries = {number: read(invented_query(dice, words, chinese)) for number in range(given.queries)}

    began = time.process_time()
    matcher = Matcher(queries)
    ready = time.process_time() - began
    took, found = best(lambda: matcher.match(posts), times=3)
    plain_took, plain_found = best(lambda: plainly(queries, posts), times=1)
    assert [set(its) for its in found] == [set(its) for its in plain_found], "the two do not find the same"

    terms = sum(len(leaves(query.tree)) for query in queries.values())
    length = sum(len(post.text) for post in posts) / len(posts)
    print(f"{len(queries)} queries of {terms} terms and fields, {len(posts)} posts of {length:.0f} characters")
    print(f"matches: {sum(map(len, found))} on {sum(map(bool, found))} posts; ready in {1e3 * ready:.0f} ms")
    print(f"one pass:   {len(posts) / took:10,.0f} posts/s")
    fuzzy = {number: read(f"~{word}") for number, word in enumerate([word for word in words if len(word) > 6][:20])}
    fuzzy_took, _ = best(lambda: Matcher(queries | {-number - 1: query for number, query in fuzzy.items()}).match(posts), times=3)
    print(f"one pass, and {len(fuzzy)} more that look for misspellings: {len(posts) / fuzzy_took:,.0f} posts/s")
    print(f"plain loop: {len(posts) / plain_took:10,.0f} posts/s   ({plain_took / took:.0f} times slower)")


def best(work: Callable[[], Any], *, times: int) -> tuple[float, Any]:
    took = []
    for _ in range(times):
        start = time.process_time()
        answer = work()
        took.append(time.process_time() - start)
    return min(took), answer


# ---- invented


def invented_post(dice: random.Random, words: Sequence[str], chinese: Sequence[str]) -> Mention:
    if dice.random() < 1 / 6:
        text = "".join(common(dice, chinese) + dice.choice(["", "", "，"]) for _ in range(dice.randint(3, 30)))
        text += dice.choice(["", " " + common(dice, words).title(), "😀"])
    else:
        said = [common(dice, words) for _ in range(dice.randint(4, 60))]
        text = " ".join(word.title() if dice.random() < 0.1 else word for word in said) + dice.choice(
            [".", "!", "…", " #" + said[0], " https://lumi.example/a"]
        )
    author = Author(network="x", native_id="7", handle=dice.choice(["jane", "joe", "shop"]), followers=dice.randint(0, 5_000))
    return Mention(
        network=dice.choice(["x", "reddit"]),
        native_id="1",
        author=author,
        text=text,
        url="https://x.com/jane/status/1",
        posted_at=NOW,
        lang_hint=dice.choice(["en", "zh", "de"]),
    )


def common(dice: random.Random, words: Sequence[str]) -> str:
    """The first words come often, the last hardly ever."""
    return words[min(int(dice.paretovariate(0.6)) - 1, dice.randrange(len(words)))]


def invented_query(dice: random.Random, words: Sequence[str], chinese: Sequence[str]) -> str:
    def word() -> str:
        return dice.choice(words[60:])

    name, other, often = word(), word(), f'"{dice.choice(words[:60])}"'
    wide = " OR ".join(f'"{word()}"' for _ in range(dice.randint(2, 12)))
    return dice.choice(
        [
            f'"{name}" ({often} OR {wide}) -"{word()}" -author:shop',
            f'("{name}" OR "{name} {other}" OR {dice.choice(chinese)}) -({wide})',
            f'("{name}" OR "{other}") NEAR/8 ({often} OR {wide})',
            f'("{name[:3]}x*" OR "{name}") ({often} OR {wide}) lang:en',
            f'"{name.title()}"c {often} followers>1000',
            f"{dice.choice(chinese)} OR ({dice.choice(chinese)} {dice.choice(chinese)} network:x)",
            f'({wide}) ({often} OR "{other}") -network:reddit',
        ]
    )


# ---- the plain loop


def plainly(queries: dict[int, Query], posts: Sequence[Mention]) -> list[tuple[int, ...]]:
    """Each post is written in words once; each query is then asked of it, part by part, until its answer is known."""
    answers = []
    for post in posts:
        forms = in_words(post.text), in_words(post.text, cased=True)
        answers.append(tuple(number for number, query in queries.items() if holds(query.tree, forms, post)))
    return answers


def holds(node: Node, forms: tuple[str, str], post: Mention) -> bool:
    kind = type(node)
    if kind is Term:
        return written(node.said, node.opens) in forms[0] and (not node.cased or written(node.cased, False) in forms[1])
    if kind is And:
        return all(holds(part, forms, post) for part in node.parts)
    if kind is Or:
        return any(holds(part, forms, post) for part in node.parts)
    if kind is Not:
        return not holds(node.part, forms, post)
    if kind is Near:
        return holds(node.left, forms, post) and holds(node.right, forms, post) and is_near(node, forms[0])
    if kind is Followers:
        return post.author.followers > node.count
    return {"author": post.author.handle, "lang": post.lang_hint, "network": post.network}[node.name] == node.value


@cache
def written(said: str, opens: bool) -> str:
    return pattern(said, opens=opens)


def is_near(near: Near, form: str) -> bool:
    starts = token_starts(form)

    def spans(node: Node) -> list[tuple[int, int]]:
        if isinstance(node, Or):
            return [span for part in node.parts for span in spans(part)]
        looked_for = written(node.said, node.opens)
        places = [place for place in range(len(form)) if form.startswith(looked_for, place)]
        return [tuple(sum(start < at for start in starts) for at in (place, place + len(looked_for))) for place in places]

    return any(0 <= b[0] - a[1] <= near.within or 0 <= a[0] - b[1] <= near.within for a in spans(near.left) for b in spans(near.right))


def leaves(node: Node) -> Sequence[Node]:
    match node:
        case And(parts=parts) | Or(parts=parts):
            return [leaf for part in parts for leaf in leaves(part)]
        case Near(left=left, right=right):
            return [*leaves(left), *leaves(right)]
        case Not(part=part):
            return leaves(part)
        case Term() | Field() | Followers():
            return [node]
    return []


if __name__ == "__main__":
    main()
