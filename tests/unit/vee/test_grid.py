import numpy as np
import pytest

from metrify_assets.vee.codes import Method, Reason, Status
from metrify_assets.vee.grid import METHOD_CODE, METHOD_NAMES, REASON_CODE, STATUS_CODE, Deliveries, Tally
from metrify_assets.vee.grid import is_one_direction as one_direction
from metrify_assets.vee.parameters import EstimationParameters, RuleSet
from tests.unit.vee.builders import EXPORT, IMPORT, UNKNOWN_CODE, deliveries, read, series_table


@pytest.mark.parametrize("code", ["1-0:1.8.0", "1-0:1.29.0", "1-0:2.29.0", "1-1:2.8.1", "1-0:1.8.0*255", "1.8.0"])
def test_import_and_export_of_active_energy_have_one_direction(code):
    assert one_direction(code)


@pytest.mark.parametrize("code", ["1-0:16.8.0", "1-0:11.7.0", "1-0:21.8.0", "7-1:1.8.0", "E1", "", "1-0:1.8"])
def test_of_other_codes_nothing_is_known(code):
    assert not one_direction(code)


def test_the_series_table_knows_its_directions():
    table = series_table((IMPORT, 15, 1.0), (UNKNOWN_CODE, 15, 1.0), (EXPORT, 60, 1.0))
    assert table.one_direction.tolist() == [True, False, True]


def test_arrays_of_different_length_are_refused():
    rows = deliveries([read(0, 1.0), read(1, 1.0)])
    with pytest.raises(ValueError, match="one length"):
        Deliveries(**{**rows.__dict__, "value": np.zeros(3, dtype=np.int64)})


def test_every_code_has_its_name():
    assert [METHOD_NAMES[METHOD_CODE[method]] for method in Method] == list(Method)
    assert len(set(STATUS_CODE.values())) == len(Status)
    assert len(set(REASON_CODE.values())) == len(Reason)


def test_tallies_add_up():
    first = Tally(raw=3, current=2, identical=1, measured=2)
    second = Tally(raw=2, current=1, superseded=1, refused=1, register_reads=4)
    total = sum([first, second], Tally())
    expected = Tally(raw=5, current=3, identical=1, superseded=1, measured=2, refused=1, register_reads=4)
    assert total == expected
    assert total.balances


def test_a_lost_row_is_out_of_balance():
    assert not Tally(raw=3, current=2, measured=2).balances
    assert not Tally(raw=2, current=2, measured=1).balances


def test_the_digest_of_parameters_changes_with_each_of_them_and_with_nothing_else():
    # Pinned: a digest that differed from one process or release to the next would make every stored day dirty.
    assert RuleSet().digest == "d212eaf61e829b64"
    assert RuleSet(stuck_minutes=60).digest != RuleSet().digest
    assert RuleSet(version="1").digest != RuleSet().digest
    assert EstimationParameters().digest != EstimationParameters(like_days=4).digest
