"""Pages to read: authors, policy, and the first page of each role."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

import pytest
from houses import person
from sites import Site

from earshot.mention import Author
from earshot.storage.accounts import Role
from earshot.web.pages.authors import neutral
from earshot.web.pages.policy import in_words
from escalation.policy import default_policy


@pytest.mark.parametrize(("role", "shown"), [
    (Role.MANAGER, "Most pressing"),
    (Role.STAFF, "Waiting for tier 1"),
    (Role.MARKETER, "How people feel"),
    (Role.ADMIN, "Sources"),
])  # fmt: skip
def test_each_role_begins_where_its_work_is(site: Site, role: Role, shown: str) -> None:
    site.hear("My hub does not pair, how do I fix it?")
    assert shown in site.signed_in(site.account(role)).get("/").text


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.SUPER_USER])
def test_a_new_house_has_a_first_page_too(site: Site, role: Role) -> None:
    assert site.signed_in(site.account(role)).get("/").status_code == 200


def test_a_picture_has_a_table_behind_it(site: Site) -> None:
    site.hear("I love my lamp, thank you!")
    page = site.signed_in(site.account(Role.MARKETER)).get("/").text
    assert 'role="img"' in page
    assert "As a table" in page


def test_authors_are_sorted_and_explained(site: Site) -> None:
    site.hear("My hub does not pair", by=person("small", followers=3))
    site.hear("My lamp is dark", by=person("big", followers=900_000))
    client = site.signed_in(site.account(Role.MARKETER))
    handles = re.findall(r'class="handle">@(\w+)', client.get("/authors").text)
    assert handles == ["big", "small"]
    assert "900k" in client.get("/authors?sort=followers").text
    assert client.get("/authors?sort=nonsense").status_code == 200


def test_no_cell_of_the_export_is_a_formula(site: Site) -> None:
    for n, name in enumerate(("=cmd|'/C calc'!A0", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", " =1")):
        site.hear("My hub does not pair", by=Author(network="x", native_id=f"n{n}", handle=name, name=name))
    answer = site.signed_in(site.account(Role.MARKETER)).get("/authors.csv")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert len(rows) == 8
    assert all(not cell.lstrip().startswith(("=", "+", "@", "-")) or re.fullmatch(r"-?\d[\d.]*", cell) for row in rows for cell in row)


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@x", "\tx", "\rx", " =1"])
def test_a_cell_that_begins_like_a_formula_is_text(cell: str) -> None:
    assert neutral(cell) == f"'{cell}"


def test_numbers_and_words_stay_as_they_are() -> None:
    assert [neutral(cell) for cell in (-0.5, 3, None, "ana")] == ["-0.5", "3", "", "ana"]


def test_every_rule_is_readable_without_its_grammar(site: Site) -> None:
    page = site.signed_in(site.boss).get("/policy").text
    for rule in default_policy().rules:
        assert f'id="rule-{rule.key}"' in page
    assert "&gt;=" not in page
    assert "$" not in page


def test_conditions_in_words() -> None:
    assert in_words("anger.value >= $angry", {"angry": 0.6}) == "anger is at least 0.6 (angry)"
    assert in_words("risk in legal, press", {}) == "risk is legal or press"
    assert in_words("intent is not spam", {}) == "intent is not spam"
    assert in_words("followers > 1000", {}) == "followers is more than 1000"


def test_the_author_of_a_case_leads_to_one_page(site: Site) -> None:
    site.hear("My hub does not pair", by=person("rae"))
    site.now += timedelta(days=1)
    page = site.signed_in(site.boss).get("/authors/1").text
    assert "@rae" in page
    assert "1 d ago" in page or "24 h" in page
