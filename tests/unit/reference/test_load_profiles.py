import csv
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import metrify_assets
from metrify_assets.reference.load_profiles import LoadProfileError, load_profiles, read_load_profiles
from metrify_assets.vee.profiles import DayKind, KeyedBy, Season

FOLDER = Path(metrify_assets.__file__).parent / "reference" / "profiles"
OF_1999 = ["H0", "G0", "G1", "G2", "G3", "G4", "G5", "G6", "L0", "L1", "L2"]
OF_2025 = ["H25", "G25", "L25", "P25", "S25"]


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(FOLDER, tmp_path / "profiles")
    return tmp_path / "profiles"


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_both_sets_are_there_and_keyed_as_published():
    profiles = load_profiles()
    assert sorted(profiles) == sorted(OF_1999 + OF_2025)
    assert {profiles[name].keyed_by for name in OF_1999} == {KeyedBy.SEASON}
    assert {profiles[name].keyed_by for name in OF_2025} == {KeyedBy.MONTH}


def test_a_step_is_a_hundredth_of_a_watt_or_a_thousandth_of_a_kwh():
    profiles = load_profiles()
    # 184.76 W and 64.255 kWh: as in demandlib's selp_series.csv (0.184760) and g25.csv.
    assert profiles["H0"].energy[Season.WINTER, DayKind.WORKDAY, 76] == 18_476
    assert profiles["G25"].energy[0, DayKind.WORKDAY, 48] == 64_255
    # 1,000 kWh are 4 x 10^8 quarter hours of 0.01 W.
    assert profiles["H0"].annual_steps == 400_000_000
    assert profiles["G25"].annual_steps == 1_000_000_000


@pytest.mark.parametrize(
    ("name", "row", "column", "number"),
    [
        # demandlib: selp_series.csv, 2007-01-13 (winter, weekday 6), 2007-01-07 and 2007-01-20, in kW.
        ("H0", "00:00", "winter_saturday", "70.84"),
        ("H0", "12:00", "summer_sunday", "213.72"),
        ("L1", "12:00", "transition_saturday", "155.84"),
        ("G6", "12:00", "summer_sunday", "212.00"),
        # demandlib: h25.csv (SA, FT, WT), s25.csv, l25.csv.
        ("H25", "12:00", "01_saturday", "38.394"),
        ("H25", "12:00", "01_sunday", "42.412"),
        ("H25", "23:45", "12_workday", "21.911"),
        ("S25", "00:00", "01_workday", "45.653"),
        ("L25", "00:30", "01_sunday", "16.075"),
    ],
)
def test_cells_are_those_of_the_source(name, row, column, number):
    with (FOLDER / f"{name.lower()}.csv").open() as lines:
        cells = {line["start"]: line for line in csv.DictReader(lines)}
    assert cells[row][column] == number


def test_profiles_are_read_once():
    assert load_profiles() is load_profiles()


def test_every_file_of_the_folder_is_a_profile_the_index_or_the_readme():
    expected = {f"{name.lower()}.csv" for name in load_profiles()} | {"profiles.csv", "README.md"}
    assert {file.name for file in FOLDER.iterdir()} == expected


def test_the_same_files_give_the_same_digest(folder):
    assert read_load_profiles(folder).digest == load_profiles().digest


def test_one_changed_number_changes_the_digest(folder):
    edit(folder / "h25.csv", "20.126", "20.127")
    changed = read_load_profiles(folder)
    assert changed.digest != load_profiles().digest
    assert np.count_nonzero(changed["H25"].energy != load_profiles()["H25"].energy) == 1


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("profiles.csv", "keyed_by", "keys", "columns must be name"),
        ("profiles.csv", "month,kWh", "week,kWh", "H25 is not described"),
        ("profiles.csv", "month,kWh", "month,MWh", "H25 is not described"),
        ("profiles.csv", "1000000,yes", "1e6,yes", "H25 is not described"),
        ("profiles.csv", "1000000,yes", "1000000,maybe", "H25 is not described"),
        ("profiles.csv", "1000000,yes", "0,yes", "h25.csv: an annual energy of 0"),
        ("profiles.csv", "G25", "H25", "a name comes twice"),
        ("h25.csv", "01_workday,01_saturday", "01_saturday,01_workday", "h25.csv: the columns must be"),
        ("h25.csv", "00:15,", "00:20,", "h25.csv: the rows must be"),
        ("h25.csv", "20.126", "20.1265", "decimal places"),
        ("h25.csv", "20.126", "NaN", "decimal places"),
        ("h25.csv", "20.126", "", "not a number"),
        ("h25.csv", "20.126", "-20.126", "negative"),
        ("h25.csv", "20.126,", "", "as many cells"),
    ],
)
def test_a_file_that_is_laid_out_otherwise_is_an_error_that_names_it(folder, file, old, new, message):
    edit(folder / file, old, new)
    with pytest.raises(LoadProfileError, match=message):
        read_load_profiles(folder)


def test_an_absent_row_is_an_error(folder):
    lines = (folder / "h0.csv").read_text().splitlines()
    (folder / "h0.csv").write_text("\n".join(lines[:-1]))
    with pytest.raises(LoadProfileError, match="quarter hours"):
        read_load_profiles(folder)


def test_an_absent_file_is_an_error(folder):
    (folder / "s25.csv").unlink()
    with pytest.raises(FileNotFoundError):
        read_load_profiles(folder)


def test_reading_profiles_needs_no_heavy_library():
    code = (
        "import sys; from metrify_assets.reference.load_profiles import load_profiles; load_profiles();"
        "print([name for name in ('pandas', 'pyarrow', 'duckdb', 'dagster', 'holidays') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
