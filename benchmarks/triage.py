"""Where do posts go? `python benchmarks/triage.py DATA_DIR [--policy FILE]` cross-validates the heads over the labelled posts,
applies the policy, and prints the figure that matters most: how many angry posts reach the community without a person having looked.

Weights learn from posts that may teach; all posts are judged, each by weights that had not seen it.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from classifiers.commands import ask_for_lessons
from classifiers.figures import figures, wilson
from classifiers.train import cross_scored, fit, laid_out
from classifiers.training_data import Post, Shelf
from earshot.case import Outcome, Route, Tier
from escalation.policy import default_policy, parse_policy
from escalation.triage import triage


def report(title: str, routed: Sequence[tuple[Post, Route]]) -> None:
    print(f"\n{title}: {len(routed)} posts")
    angry = [route for post, route in routed if post.labels["anger"] == "angry"]
    slipped = sum(route.tier is Tier.COMMUNITY and route.outcome is Outcome.AUTOMATIC for route in angry)
    low, high = wilson(slipped, len(angry))
    share = slipped / max(1, len(angry))
    print(f"  angry to the community, automatic: {slipped} of {len(angry)} = {share:.1%} (95 %: {low:.1%} to {high:.1%})")
    review = sum(route.outcome is Outcome.REVIEW for _, route in routed)
    print(f"  to a person for review: {review / max(1, len(routed)):.1%}")
    for name, chosen in (("all", routed), ("automatic", [pair for pair in routed if pair[1].outcome is Outcome.AUTOMATIC])):
        found = figures([post.labels["tier"] for post, _ in chosen], [str(route.tier) for _, route in chosen], [1.0] * len(chosen))
        each = ", ".join(f"{of.label} {of.f1:.2f} ({of.n})" for of in found.classes)
        print(f"  tier macro-F1, {name}: {found.macro_f1:.3f}   {each}")
    print("  rules: " + ", ".join(f"{rule} {n}" for rule, n in Counter(route.rule for _, route in routed).most_common(12)))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    ask_for_lessons(parser)
    parser.add_argument("--policy", type=Path, help="a policy of your own (default: the one that ships)")
    given = parser.parse_args(arguments)
    policy = parse_policy(given.policy.read_text(encoding="utf-8")) if given.policy else default_policy()
    shelf = Shelf(given.data_dir)
    table, base = laid_out(shelf, given.taught, given.lessons)
    scored = cross_scored(fit(table, base, learnt=table.teaches))
    routes = triage([each for _, each in scored], policy, now=datetime(2026, 1, 1, tzinfo=UTC))
    routed = [(post, route) for (post, _), route in zip(scored, routes, strict=True)]
    report("all", routed)
    for lang in ("en", "zh"):
        report(lang, [(post, route) for post, route in routed if post.lang == lang])
    report("only posts whose source may teach", [(post, route) for post, route in routed if post.teaches])


if __name__ == "__main__":
    main()
