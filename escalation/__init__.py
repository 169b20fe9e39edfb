"""DECIDE: who should answer, how soon, and what happens when nobody does.

policy      the routing rules: an ordered table, first match wins; `default.toml` beside it
conditions  the small grammar of a rule's `when`
triage      scored mentions -> routes
sla         when an answer is due, in the working hours of its tier and language
priority    the order inside a queue, with its parts
overdue     cases that go one tier up, and owners who were silent too long
preview     what another policy would have decided
"""
