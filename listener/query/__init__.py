"""The query language: what to look for, read once, asked of networks and of posts (docs/queries.md).

query = read('lumifern NEAR/5 (broken OR "does not work") -giveaway')
compile_for(query, "x")            # what to ask X for: at least all that matches
matches({1: query}, posts)         # which of our queries does each post match?
near_misses(query, posts)          # what did it just miss, and why?
"""

from listener.query.grammar import read
from listener.query.matching import Matcher, matches
from listener.query.naming import names_query
from listener.query.nearly import NearMiss, near_misses
from listener.query.networks import DIALECTS, compile_for, unsearchable, widened
from listener.query.reading import Post
from listener.query.tree import Query, without, write

__all__ = [
    "DIALECTS",
    "Matcher",
    "NearMiss",
    "Post",
    "Query",
    "compile_for",
    "matches",
    "names_query",
    "near_misses",
    "read",
    "unsearchable",
    "widened",
    "without",
    "write",
]
