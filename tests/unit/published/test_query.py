"""Queries read what is published, and do nothing else."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from metrify_assets.cli.answers import write_csv, write_json
from metrify_assets.cli.main import cli
from metrify_assets.errors import PublishError, QueryError
from metrify_assets.published.query import answer, open_published, require_reading
from tests.small_marts import SmallMarts

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> SmallMarts:
    from tests.small_marts import small_marts

    marts = small_marts(tmp_path_factory.mktemp("query") / "it's here")
    marts.build({date(2026, 3, 31): {"A": "1.5", "B": "2.25"}, date(2026, 4, 1): {"A": None}})
    marts.publish()
    return marts


@pytest.fixture
def metrify(published: SmallMarts, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("METRIFY_ROOT", str(published.platform.settings.root))

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(cli, ["query", *map(str, arguments)])

    return run


def strict_json(text: str) -> Any:
    """Return what a text says; NaN and Infinity are no JSON."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def rows(published: SmallMarts, sql: str) -> list[dict]:
    with open_published(published.platform) as connection, answer(connection, sql) as reader:
        return reader.read_all().to_pylist()


@pytest.mark.parametrize(
    "sql",
    [
        "select 1",
        "from dim_points",
        "with a as (select 1) select * from a",
        "values (1)",
        "describe daily",
        "show tables",
        "summarize metrics.daily",
        "explain select * from daily",
        "explain analyze select * from daily",
        "explain (analyze, format json) select * from daily",
        "-- a comment\nexplain select 1",
        "/* a comment */ explain /* ä */ analyze /* another */ select 1",
        "explain (select 1) union all (select 2)",
        "explain describe daily",
        "pivot daily on point_id in ('A', 'B') using sum(slots)",
        "select 1; -- the end",
    ],
)
def test_what_reads_is_answered(published, sql):
    assert rows(published, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "insert into _published values (1)",
        "update _published set version = 2",
        "delete from _published",
        "create table t (a int)",
        "create temp table t (a int)",
        "drop view marts.dim_points",
        "alter table _published add column a int",
        "copy (select 1) to 'x.csv'",
        "attach 'x.duckdb'",
        "install httpfs",
        "load httpfs",
        "set threads = 1",
        "reset threads",
        "pragma database_list",
        "call pragma_version()",
        "prepare p as select 1",
        "export database 'x'",
        "checkpoint",
        "vacuum",
        "begin",
        "use marts",
        "explain analyze insert into _published values (1)",
        "explain analyze copy (select 1) to 'x.csv'",
        "explain explain analyze copy (select 1) to 'x.csv'",
        "/* */ explain analyze copy (select 1) to 'x.csv'",
        "explain (analyze) copy (select 1) to 'x.csv'",
        "explain ( /* ) select 1 */ ANALYZE /* ( */ ) copy (select 1) to 'x.csv'",
        "explain (format 'json)', analyze) copy (select 1) to 'x.csv'",
        "explain/**/analyze\u00a0copy (select 1) to 'x.csv'",
        "explain begin",
        "copy (pivot daily on point_id using sum(slots)) to 'x.csv'",
        "explain analyze copy (pivot daily on point_id using sum(slots)) to 'x.csv'",
        "create table t as pivot daily on point_id using sum(slots)",
        "select 1; drop view marts.dim_points",
        "",
    ],
)
def test_what_does_more_than_reading_is_refused(published, sql):
    before = published.files()
    with pytest.raises(QueryError) as refused:
        rows(published, sql)
    assert "\n" not in str(refused.value)
    assert published.files() == before


def test_no_file_that_is_not_published_can_be_read_or_listed(published, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    for sql in (
        f"select * from read_csv('{secret}')",
        f"select * from '{secret}'",
        f"select * from read_text('{secret}')",
        f"select * from glob('{tmp_path}/*')",
        "select * from read_text('../warehouse.duckdb')",
    ):
        with pytest.raises(QueryError):
            rows(published, sql)
    assert secret.read_text() == "a\n1\n"


def test_even_a_statement_that_passed_could_not_write_or_change_settings(published, tmp_path):
    """The second guard, without the first."""
    import duckdb

    with open_published(published.platform) as connection:
        for sql in (
            f"copy (select 1) to '{tmp_path}/x.csv'",
            "create table t (a int)",
            "set enable_external_access = true",
            "set lock_configuration = false",
            f"attach '{tmp_path}/x.duckdb'",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(sql)
    assert list(tmp_path.iterdir()) == []


def test_variables_of_this_process_are_no_tables(published):
    import pyarrow as pa

    secret = pa.table({"a": [1]})
    with pytest.raises(QueryError):
        rows(published, "select * from secret")
    assert secret.num_rows == 1


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select * from daly", "there is no mart daly: did you mean metrics.daily? `metrify query` lists them"),
        ("select * from marts.points", "there is no mart points: did you mean marts.dim_points? `metrify query` lists"),
        ("select * from weather", "there is no mart weather: `metrify query` lists them"),
        ("select colour from daily", 'Referenced column "colour" not found'),
        ("selekt 1", 'syntax error at or near "selekt"'),
        ("pivot daily on point_id using sum(slots)", "a pivot names its columns here: write `pivot ... on COLUMN in ("),
        ("select 'infinity'::timestamp as a", "column a holds a value that cannot be shown"),
        ("select ['10000-01-01'::date] as a", "cast it to text, as in `a::varchar`"),
        ("select cast(point_id as int) from daily", "Could not convert string 'A' to INT32"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(metrify, sql, message):
    done = metrify(sql)
    assert isinstance(done.exception, QueryError)
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)


def test_a_query_is_answered_while_the_marts_are_written(published, metrify):
    with published.warehouse.connect(), published.warehouse.exclusive():
        assert json.loads(metrify("select count(*) as days from score", "--json").output) == [{"days": 2}]


def test_without_a_query_the_marts_are_listed_with_what_their_columns_mean(metrify):
    lines = [line.split("  ") for line in metrify().output.splitlines()]
    assert ["metrics.daily", "(3 rows, 2026-03-31 .. 2026-04-01)"] in lines
    assert ["", "What a point used in a day."] in lines
    record = json.loads(metrify("--json").output)
    assert record["version"] == 1
    assert [mart["mart"] for mart in record["marts"]] == [
        "marts.dim_points",
        "metrics.daily",
        "metrics.monthly",
        "metrics.score",
    ]
    assert record["marts"][1]["columns"][2] == {
        "name": "energy_kwh",
        "type": "decimal(18,6)",
        "description": "Energy, kWh; null if unknown.",
    }


def test_a_table_is_cut_and_says_how_many_rows_it_leaves_out(metrify):
    assert metrify("select point_id, energy_kwh, peak_at from daily order by all", "--limit", 2).output == (
        "point_id  energy_kwh  peak_at\n"
        "--------  ----------  --------------------\n"
        "A           1.500000  2026-03-31 17:30:00Z\n"
        "A               null  2026-04-01 17:30:00Z\n"
        "(3 rows; 1 not shown: --limit 3, or --csv)\n"
    )
    assert metrify("select 1 as a where false").output == "a\n-\n(0 rows)\n"


def test_csv_and_json_hold_every_row(metrify):
    sql = "select point_id, day, energy_kwh, slots, share, complete, peak_at from daily order by all"
    assert metrify(sql, "--csv").output.splitlines() == [
        "point_id,day,energy_kwh,slots,share,complete,peak_at",
        "A,2026-03-31,1.500000,96,0.5,true,2026-03-31 17:30:00Z",
        "A,2026-04-01,,96,0.5,false,2026-04-01 17:30:00Z",
        "B,2026-03-31,2.250000,96,0.5,true,2026-03-31 17:30:00Z",
    ]
    records = json.loads(metrify(sql, "--json").output)
    assert records[1] == {
        "point_id": "A",
        "day": "2026-04-01",
        "energy_kwh": None,
        "slots": 96,
        "share": 0.5,
        "complete": False,
        "peak_at": "2026-04-01T17:30:00+00:00",
    }
    assert records[2]["energy_kwh"] == "2.250000"
    assert json.loads(metrify("select sum(slots) as s, 'nan'::double as n from daily", "--json").output) == [
        {"s": 288, "n": "nan"}
    ]
    assert json.loads(metrify("select 1 where false", "--json").output) == []


def test_what_is_in_lists_structs_and_maps_is_told_as_beside_them(metrify):
    sql = """
        select
            [1.5::decimal(4,2), null] as decimals,
            {'n': 'nan'::double, 'below': ['-inf'::float]} as floats,
            map {3: timestamptz '2026-03-29 03:00:00+02'} as instants,
            [interval '2 days'] as intervals,
            {'name': 'Müller "x"', 'whole': 7::decimal(10,0), 'known': true, 'day': date '2026-03-29'} as mixed,
            0.0000001::decimal(18,7) as small,
            'ab'::blob as bytes
    """
    expected = {
        "decimals": ["1.50", None],
        "floats": {"n": "nan", "below": ["-inf"]},
        "instants": {"3": "2026-03-29T01:00:00+00:00"},
        "intervals": ["0 months 2 days 0.000000000 seconds"],
        "mixed": {"name": 'Müller "x"', "whole": 7, "known": True, "day": "2026-03-29"},
        "small": "0.0000001",
        "bytes": "6162",
    }
    assert strict_json(metrify(sql, "--json").output) == [expected]
    names, cells = csv.reader(metrify(sql, "--csv").output.splitlines())
    cell_of_name = dict(zip(names, cells, strict=True))
    nested = {"decimals", "floats", "instants", "intervals", "mixed"}
    assert {name: strict_json(cell) if name in nested else cell for name, cell in cell_of_name.items()} == expected
    assert "Müller" in cell_of_name["mixed"]
    assert '["1.50", null]' in metrify(sql).output


def test_a_value_of_every_type_is_told_or_refused_in_one_line(published):
    refused: dict[str, str] = {}
    with open_published(published.platform) as connection:
        types = connection.execute("select column_name from (describe select * from test_all_types())").fetchall()
        for (name,) in types:
            for write in (write_csv, write_json):
                output = io.StringIO()
                try:
                    with answer(connection, f'select "{name}" as found from test_all_types()') as reader:
                        write(reader, output)
                except QueryError as error:
                    refused[name] = str(error)
                else:
                    assert write is write_csv or len(strict_json(output.getvalue())) == 3
    assert "\n" not in "".join(refused.values())
    assert set(refused) == {
        "date",
        "timestamp",
        "timestamp_s",
        "timestamp_ms",
        "timestamp_tz",
        "date_array",
        "timestamp_array",
        "timestamptz_array",
    }


def test_columns_of_one_name_are_named_apart_before_they_are_keys(metrify, tmp_path):
    sql = "select d.day, s.day, d.slots from daily as d inner join score as s on d.day = s.day"
    target = tmp_path / "out.parquet"
    for form in (["--json"], ["--parquet", target]):
        done = metrify(sql, *form)
        assert isinstance(done.exception, QueryError)
        assert str(done.exception).startswith("several columns are named day: name them apart")
        assert done.output == ""
    assert not target.exists()
    assert metrify(sql, "--csv").output.splitlines()[0] == "day,day,slots"


def test_a_parquet_file_holds_every_row_with_its_type(metrify, tmp_path):
    target = tmp_path / "out.parquet"
    assert metrify("from daily", "--parquet", target).output == f"3 rows written to {target}\n"
    stored = pq.read_table(target)
    assert (stored.num_rows, str(stored.schema.field("energy_kwh").type)) == (3, "decimal128(18, 6)")
    failed = metrify("select cast(point_id as int) from daily", "--parquet", tmp_path / "none.parquet")
    assert isinstance(failed.exception, QueryError)
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]
    assert "is no folder" in str(metrify("from daily", "--parquet", tmp_path / "no" / "x.parquet").exception)


def test_intervals_are_told_in_words_and_have_no_place_in_parquet(metrify, tmp_path):
    sql = "select interval '1 month 2 days 3.5 seconds' as i"
    words = "1 months 2 days 3.500000000 seconds"
    assert metrify(sql, "--csv").output == f"i\n{words}\n"
    assert json.loads(metrify(sql, "--json").output) == [{"i": words}]
    assert words in metrify(sql).output
    refused = metrify(sql, "--parquet", tmp_path / "i.parquet")
    assert isinstance(refused.exception, QueryError)
    assert list(tmp_path.iterdir()) == []


def test_a_query_comes_from_a_file(metrify, tmp_path):
    file = tmp_path / "q.sql"
    file.write_text("-- days\nselect count(*) as days\nfrom score\n")
    assert json.loads(metrify("--file", file, "--json").output) == [{"days": 2}]


def test_contradicting_options_are_refused(metrify, tmp_path):
    assert metrify("select 1", "--json", "--csv").exit_code == 2
    assert metrify("--csv").exit_code == 2
    assert metrify("select 1", "--file", tmp_path / "q.sql").exit_code == 2


def test_where_nothing_is_published_the_command_to_run_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("METRIFY_ROOT", str(tmp_path))
    for arguments in (["query"], ["query", "select 1"]):
        done = CliRunner().invoke(cli, arguments)
        assert isinstance(done.exception, PublishError)
        assert "metrify publish" in str(done.exception)


def test_what_was_moved_says_so(published, monkeypatch, tmp_path):
    import shutil

    moved = tmp_path / "moved"
    shutil.copytree(published.platform.settings.root, moved)
    monkeypatch.setenv("METRIFY_ROOT", str(moved))
    done = CliRunner().invoke(cli, ["query", "select 1"])
    assert isinstance(done.exception, PublishError)
    assert "moved since: run `metrify publish`" in str(done.exception)


def test_a_file_that_somebody_opened_for_writing_is_said_to_be_held_and_by_whom(plant, monkeypatch):
    plant.publish()
    plant.file.chmod(0o644)
    monkeypatch.setenv("METRIFY_ROOT", str(plant.platform.settings.root))
    holding = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", holding, str(plant.file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"open\n"
        done = CliRunner().invoke(cli, ["query", "select 1"])
        holder.communicate()
    assert isinstance(done.exception, PublishError)
    message = str(done.exception)
    assert f"(PID {holder.pid}): close it there and open it with read_only=True" in message
    assert "\n" not in message


@pytest.mark.parametrize("content", [b"", b"no database " * 1000])
def test_a_damaged_file_is_made_anew_by_what_the_error_says(plant, content, monkeypatch):
    plant.publish()
    plant.file.chmod(0o644)
    plant.file.write_bytes(content)
    monkeypatch.setenv("METRIFY_ROOT", str(plant.platform.settings.root))
    done = CliRunner().invoke(cli, ["query", "select 1"])
    assert isinstance(done.exception, PublishError)
    assert f"{plant.file} cannot be opened" in str(done.exception)
    assert str(done.exception).endswith("delete it and run `metrify publish`")
    assert "\n" not in str(done.exception)
    plant.file.unlink()
    plant.publish()
    assert rows(plant, "select count(*) as n from daily") == [{"n": 5}]


def test_a_file_that_this_process_has_open_in_another_mode_is_said_to_be(plant):
    import duckdb

    plant.publish()
    plant.file.chmod(0o644)
    with duckdb.connect(str(plant.file)), pytest.raises(PublishError, match="in another mode: close it first"):
        rows(plant, "select 1")


@pytest.mark.parametrize("content", [None, b"", b"no parquet " * 1000])
def test_a_damaged_part_is_told_in_one_line(plant, content):
    plant.publish()
    [file] = (plant.folder / "daily" / "day=2026-03-30").iterdir()
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(QueryError, match=f"{file.name}.*run `metrify publish --all`") as error:
        rows(plant, "from daily")
    assert "\n" not in str(error.value)


def test_an_explained_query_is_shown_as_it_is_drawn(metrify):
    assert len(metrify("explain select * from daily").output.splitlines()) > 3


def test_a_query_says_what_it_is_before_it_runs():
    require_reading("select 1")
    with pytest.raises(QueryError, match="copy is refused"):
        require_reading("copy (select 1) to 'x'")


def test_spilled_rows_leave_nothing_behind(published, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", None)
    assert rows(published, "select count(*) as n from range(1000)") == [{"n": 1000}]
    assert list(Path(tmp_path).iterdir()) == []
