from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from metrify_assets.drops.inbox import UNFINISHED_SUFFIXES, inbox_path
from metrify_assets.errors import DropError
from tests.workbench import ARRIVED, micros, reads

LATER = micros(ARRIVED + timedelta(hours=1))


def look(bench, now: int = LATER):
    return bench.platform.inbox.scan(bench.platform.feeds, now)


def test_an_empty_or_absent_inbox_holds_nothing(bench):
    assert look(bench).files == []
    bench.inbox.mkdir(parents=True)
    assert look(bench).problems == []


def test_files_come_oldest_first_with_their_identity(bench):
    bench.put("plain", "b.csv", b"12", ARRIVED + timedelta(minutes=1))
    bench.put("plain", "sub/c.csv", b"1", ARRIVED + timedelta(minutes=2))
    bench.put("adding", "a.csv", b"123", ARRIVED)
    files = look(bench).files
    assert [(file.feed, file.name, file.size) for file in files] == [
        ("adding", "a.csv", 3),
        ("plain", "b.csv", 2),
        ("plain", "sub/c.csv", 1),
    ]
    assert files[0].modified_at == micros(ARRIVED)


@pytest.mark.parametrize(("age_seconds", "ready"), [(0, False), (1.9, False), (2.0, True), (-60, True)])
def test_a_file_has_to_be_left_alone_for_the_settle_time(bench, age_seconds, ready):
    # A stamp in the future comes from a clock that is wrong: waiting for it would take for ever.
    bench.put("plain", "a.csv", b"1")
    state = look(bench, micros(ARRIVED) + round(age_seconds * 1_000_000))
    assert bool(state.files) is ready
    assert bool(state.settling) is not ready


@pytest.mark.parametrize("name", [*(f"a.csv{suffix}" for suffix in UNFINISHED_SUFFIXES), ".a.csv", "~a.csv"])
def test_a_half_uploaded_file_is_left_alone(bench, name):
    bench.put("plain", name, b"1")
    state = look(bench)
    assert state.files == []
    assert state.settling == [f"plain/{name}"]
    assert state.problems == []


def test_an_unknown_feed_is_told_with_what_to_do(bench):
    bench.put("meters_nrth", "a.csv", b"1")
    assert look(bench).problems == ["meters_nrth/a.csv: there is no feed 'meters_nrth'; define it or move the file"]


def test_a_file_beside_the_folders_is_told(bench):
    bench.inbox.mkdir(parents=True)
    (bench.inbox / "a.csv").write_bytes(b"1")
    assert "move it to inbox/<feed>/" in look(bench).problems[0]


def test_a_name_that_the_feed_does_not_expect_is_told(bench):
    bench.put("meters_north", "south.csv", b"1")
    assert "expects names like 'north_*.csv'" in look(bench).problems[0]


@pytest.mark.parametrize("name", ["../adding/a.csv", "../../a.csv", "/etc/hostname", "sub/../../../a.csv", ".."])
def test_a_path_that_leaves_the_inbox_is_refused(bench, name):
    with pytest.raises(DropError, match="leaves the inbox"):
        inbox_path(bench.inbox, "plain", name)


@pytest.mark.parametrize("name", ["a.csv", "sub/a.csv", "sub/../a.csv", "..a.csv"])
def test_a_path_inside_is_accepted(bench, name):
    assert inbox_path(bench.inbox, "plain", name).name in ("a.csv", "..a.csv")


def test_a_link_out_of_the_inbox_is_told_and_not_read(bench, tmp_path):
    (tmp_path / "secret.csv").write_bytes(b"1")
    bench.put("plain", "a.csv", b"1")
    (bench.inbox / "plain" / "link.csv").symlink_to(tmp_path / "secret.csv")
    state = look(bench)
    assert [file.name for file in state.files] == ["a.csv"]
    assert "plain/link.csv leaves the inbox" in state.problems[0]


def test_a_link_to_a_folder_is_told(bench, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.csv").write_bytes(b"1")
    bench.inbox.mkdir(parents=True)
    (bench.inbox / "plain").symlink_to(tmp_path / "elsewhere")
    state = look(bench)
    assert state.files == []
    assert "plain is a link to a folder" in state.problems[0]


def test_a_pipe_is_told_and_never_opened(bench):
    (bench.inbox / "plain").mkdir(parents=True)
    os.mkfifo(bench.inbox / "plain" / "a.csv")
    state = look(bench)
    assert state.files == []
    assert "plain/a.csv is no file" in state.problems[0]


def test_a_name_that_is_no_text_is_told_in_letters_that_can_be_printed(bench):
    (bench.inbox / "plain").mkdir(parents=True)
    with open(os.fsencode(bench.inbox / "plain") + b"/\xff.csv", "wb") as file:
        file.write(b"1")
    os.utime(os.fsencode(bench.inbox / "plain") + b"/\xff.csv", (0, 0))
    state = look(bench)
    assert state.files == []
    assert state.problems[0].encode()


def test_what_the_ledger_has_seen_is_not_pending_and_a_new_stamp_is(bench):
    content = reads(["A"], [ARRIVED.date().replace(month=3)])
    bench.land("plain", "a.csv", content)
    assert look(bench).pending(bench.platform.ledger.view()) == []
    bench.put("plain", "a.csv", content, ARRIVED + timedelta(minutes=5))
    assert [file.name for file in look(bench).pending(bench.platform.ledger.view())] == ["a.csv"]


def test_put_makes_a_file_appear_whole(bench, tmp_path):
    source = tmp_path / "north_1.csv"
    source.write_bytes(b"1;2")
    feed = bench.platform.feed("meters_north")
    target = Path(bench.platform.inbox.put(feed, source))
    assert target.read_bytes() == b"1;2"
    assert [path.name for path in target.parent.iterdir()] == ["north_1.csv"]


@pytest.mark.parametrize("name", ["../north_1.csv", "/tmp/north_1.csv"])
def test_put_stays_in_the_inbox(bench, tmp_path, name):
    source = tmp_path / "north_1.csv"
    source.write_bytes(b"1")
    with pytest.raises(DropError, match="leaves the inbox"):
        bench.platform.inbox.put(bench.platform.feed("meters_north"), source, name)
    assert not bench.inbox.exists()


def test_put_refuses_a_name_that_would_never_be_read(bench, tmp_path):
    source = tmp_path / "south.csv"
    source.write_bytes(b"1")
    with pytest.raises(DropError, match="expects names like"):
        bench.platform.inbox.put(bench.platform.feed("meters_north"), source)
    with pytest.raises(DropError, match="is no file"):
        bench.platform.inbox.put(bench.platform.feed("meters_north"), tmp_path / "none.csv")


# Old files


def put_dated(bench, *names: str) -> None:
    path = bench.platform.settings.feeds_dir / "dated.yaml"
    path.write_text(
        (path.parent / "plain.yaml")
        .read_text()
        .replace("name: plain", "name: dated\ndated_names: {pattern: '%Y/%m/%d/', days: 2}")
    )
    for name in names:
        bench.put("dated", name, b"1")


def test_between_full_passes_old_dates_are_not_even_looked_at(bench, monkeypatch):
    old, recent = ["2026/05/29/a.csv", "2025/12/31/b.csv"], ["2026/05/30/c.csv", "2026/06/01/d.csv", "other.csv"]
    put_dated(bench, *old, *recent)
    bench.put("plain", "2020/e.csv", b"1")
    inbox, feeds = bench.platform.inbox, bench.platform.feeds
    first = inbox.scan(feeds, LATER, position="")
    assert {file.name for file in first.files} == {*old, *recent, "2020/e.csv"}
    opened = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: opened.append(str(folder)) or scandir(folder))
    second = inbox.scan(feeds, LATER + 60_000_000, position=first.position)
    assert {file.name for file in second.files} == {*recent, "2020/e.csv"}
    below = {os.path.relpath(folder, bench.inbox / "dated") for folder in opened if "/dated" in folder}
    assert below == {".", "2026", "2026/05", "2026/05/30", "2026/06", "2026/06/01"}
    third = inbox.scan(feeds, LATER + 3_601_000_000, position=second.position)
    assert {file.name for file in third.files} == {*old, *recent, "2020/e.csv"}


def test_without_a_position_everything_is_listed(bench):
    put_dated(bench, "2020/01/01/a.csv")
    for _ in range(2):
        assert [file.name for file in look(bench).files] == ["2020/01/01/a.csv"]


def test_what_is_known_is_left_out(bench):
    seen = bench.put("plain", "a.csv", b"1")
    bench.put("plain", "b.csv", b"1")
    state = bench.platform.inbox.scan(bench.platform.feeds, LATER, {("plain", seen.source)})
    assert [file.name for file in state.files] == ["b.csv"]


def test_a_link_to_nothing_is_told(bench):
    (bench.inbox / "plain").mkdir(parents=True)
    (bench.inbox / "plain" / "a.csv").symlink_to("nowhere")
    state = look(bench)
    assert state.files == []
    assert "plain/a.csv" in state.problems[0]


FORGING = ["a\nb.csv", "a\x1b[31mb.csv", "a\rb.csv", "a\u202eb.csv", "a\u2028b.csv", "a\x85b.csv", "\n.part"]


@pytest.mark.parametrize("name", FORGING)
def test_a_name_that_forges_lines_is_refused_in_one_line_and_its_file_stays(bench, name):
    bench.put("plain", name, reads(["A"], []))
    state = look(bench)
    assert (state.files, state.settling) == ([], [])
    (problem,) = state.problems
    assert problem.isprintable()
    assert problem.endswith("the name has control characters; rename the file")
    assert (bench.inbox / "plain" / name).exists()


def test_a_name_with_blanks_accents_and_emoji_is_taken_in(bench):
    for name in ("Zähler stände\u00a01.csv", "計器 🔌.csv"):
        bench.put("plain", name, b"1")
    assert len(look(bench).files) == 2
    assert look(bench).problems == []


def test_odd_folders_and_links_forge_no_lines_either(bench):
    bench.put("pl\nain", "a.csv", b"1")
    bench.put("plain", "b.csv", b"1")
    (bench.inbox / "plain" / "li\nnk").symlink_to(bench.inbox, target_is_directory=True)
    (bench.inbox / "li\nne.csv").write_bytes(b"1")
    (bench.inbox / "plain" / "gone\n.csv").symlink_to(bench.inbox / "nowhere")
    problems = look(bench).problems
    assert len(problems) == 4
    assert all(problem.isprintable() for problem in problems)


@pytest.mark.parametrize("name", FORGING[:4])
def test_a_file_with_such_a_name_cannot_be_put_there(bench, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"1")
    with pytest.raises(DropError, match="the name has control characters: rename the file") as caught:
        bench.platform.inbox.put(bench.platform.feed("plain"), path)
    assert str(caught.value).isprintable()


def test_files_of_a_feed_whose_definition_is_broken_wait_and_are_named_with_what_is_wrong(bench):
    definition = bench.platform.settings.feeds_dir / "plain.yaml"
    definition.write_text(definition.read_text() + "\nstatus: {}\n")
    bench.platform.look_at_feeds()
    bench.put("plain", "a.csv", b"1")
    bench.put("adding", "b.csv", b"1")
    state = look(bench)
    assert [file.feed for file in state.files] == ["adding"]
    (problem,) = state.problems
    assert problem.startswith(f"plain/a.csv waits: the definition of its feed is wrong: {definition}: status: ")
