from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrify_assets.feeds.topics import TopicPattern


@pytest.mark.parametrize(
    ("pattern", "topic", "levels"),
    [
        ("meters/{point}/energy", "meters/A 1/energy", {"point": "A 1"}),
        ("meters/{point}/energy", "meters//energy", {"point": ""}),
        ("meters/{point}/energy", "meters/A/power", None),
        ("meters/{point}/energy", "meters/A/energy/now", None),
        ("meters/{point}/energy", "meters/A", None),
        ("{site}/+/{point}", "s/x/p", {"site": "s", "point": "p"}),
        ("{site}/#", "s", {"site": "s"}),
        ("{site}/#", "s/a/b", {"site": "s"}),
        ("#", "a/b", {}),
        ("#", "$SYS/uptime", None),
        ("+/uptime", "$SYS/uptime", None),
        ("$SYS/{what}", "$SYS/uptime", {"what": "uptime"}),
        ("a", "A", None),
    ],
)
def test_a_topic_gives_its_named_levels_or_does_not_match(pattern, topic, levels):
    assert TopicPattern.parse(pattern).match(topic) == levels


def test_what_is_named_is_subscribed_to_as_any_level():
    assert TopicPattern.parse("{site}/meters/{point}/#").filter == "+/meters/+/#"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is no topic"),
        ("a\0b", "is no topic"),
        ("a/" + "b" * 65_535, "is no topic"),
        ("a/#/b", "'#' is no level"),
        ("a/b+", "'b\\+' is no level"),
        ("a/{Point}", "is no level"),
        ("a/x{point}", "is no level"),
        ("{point}/{point}", "two levels of one name"),
        ("$share/g/a", "shares its messages out"),
    ],
)
def test_what_is_no_topic_is_told(text, problem):
    with pytest.raises(ValueError, match=problem):
        TopicPattern.parse(text)


LEVEL = st.text(st.characters(exclude_characters="/+#{}\0$", exclude_categories=["Cs"]), max_size=5)


@given(st.lists(LEVEL, min_size=1, max_size=5).filter(lambda levels: any(levels)), st.data())
def test_levels_that_are_named_come_back_as_they_are(levels, data):
    named = [data.draw(st.booleans()) for _ in levels]
    text = "/".join(f"{{n{i}}}" if name else level for i, (level, name) in enumerate(zip(levels, named, strict=True)))
    level_of_name = TopicPattern.parse(text).match("/".join(levels))
    assert level_of_name == {f"n{i}": level for i, (level, name) in enumerate(zip(levels, named, strict=True)) if name}
