"""Names and texts of others are shown in one line, and forge nothing."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from metrify_assets.errors import escaped, forges


def test_control_characters_are_shown_as_what_they_are():
    assert escaped("a\nb\rc\x1b[31m\x00\x85\u202e\u2028\udcff") == r"a\nb\rc\x1b[31m\x00\x85\u202e\u2028\udcff"


def test_ordinary_text_of_any_script_stays_as_it_is():
    for text in ("north_1.csv", "Zählerstände 2026.csv", "計器.csv", "שעון.csv", "🔌 a.csv", r"C:\new", "a\u00a0b"):
        assert escaped(text) == text
        assert not forges(text)


@given(st.text(st.characters(max_codepoint=sys.maxunicode)))
def test_what_is_escaped_is_one_line_that_forges_nothing(text):
    shown = escaped(text)
    assert not forges(shown)
    assert len(shown.splitlines()) <= 1
    assert forges(text) is (shown != text)
    shown.encode()
