"""Markup of strangers becomes the text that a reader would see."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.plain_text import MAX_TEXT, clip, plain_text


def test_paragraphs_lists_and_line_breaks_stay_apart() -> None:
    html = "<p>My hub\n is   <b>offline</b> &amp; blinks.</p><ul><li>red<li>blue</ul>thanks<br/>Ann"
    assert plain_text(html) == "My hub is offline & blinks.\n\nred\nblue\nthanks\nAnn"


def test_what_no_reader_sees_is_left_out() -> None:
    html = "<head><title>t</title></head>a<script>if (1 < 2) alert('<b>')</script>b<style>p{}</style>c"
    html += "<!-- <p>d -->e<svg onload=x()><text>f</text></svg>g"
    assert plain_text(html) == "abceg"


def test_escaped_markup_stays_text_and_is_not_read_twice() -> None:
    assert plain_text("&lt;script&gt;alert(1)&lt;/script&gt; &amp;lt;b&amp;gt;") == "<script>alert(1)</script> &lt;b&gt;"


def test_a_link_whose_text_looks_like_an_address_shows_where_it_leads() -> None:
    assert plain_text('<a href="https://evil.example/x">https://bank.example/login</a>') == "https://evil.example/x"
    assert plain_text("<a href='https://evil.example/x'>bank.example</a>!") == "https://evil.example/x!"
    assert plain_text("<a href=https://a.example/long/path>https://a.example/lo...</a>") == "https://a.example/long/path"


def test_a_link_with_words_keeps_them_and_one_that_runs_a_program_never_shows() -> None:
    assert plain_text('<a href="https://a.example/">the manual</a>') == "the manual"
    assert plain_text('<a href="javascript:alert(1)">bank.example</a>') == "bank.example"


def test_signs_that_are_not_tags_stay() -> None:
    assert plain_text("1 < 2 and 3 > 2 <3") == "1 < 2 and 3 > 2 <3"
    assert plain_text('<img alt="a > b" src=x>seen') == "seen"


def test_a_long_page_is_clipped_and_nul_is_dropped() -> None:
    assert len(plain_text("x" * 10**6)) == MAX_TEXT
    assert clip("a\0b") == "ab"


@pytest.mark.parametrize(
    "piece", ["<", "<!--", "<a ", '<a href="', "</", "<script>", "&", "&#", "<a href='http://x'>a.b</a>", "<p>", "\n "]
)
def test_runs_of_half_open_markup_end(piece: str) -> None:
    """Such runs took the standard library's parser minutes."""
    assert len(plain_text(piece * 100_000)) <= MAX_TEXT


@given(st.text(alphabet="<>/a='\"!-& ;\n", max_size=200) | st.text(max_size=200))
def test_any_text_is_read(html: str) -> None:
    assert "\0" not in plain_text(html)
