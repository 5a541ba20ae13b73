import pytest

from mlssm.tracking.record import CUT_MARK, cut, flatten


def test_nested_keys_are_joined_by_dots_and_values_are_written_as_hydra_reads_them():
    config = {"model": {"lag": 3, "hidden": [64, 32]}, "datamodule": {"soil": None, "name": "simulated"}, "trainer": {}}
    assert flatten(config) == {
        "model.lag": "3",
        "model.hidden": "[64, 32]",
        "datamodule.soil": "null",
        "datamodule.name": "simulated",
        "trainer": "{}",
    }
    assert flatten({"a": {"b": {"c": True}}}) == {"a.b.c": "true"}


@pytest.mark.parametrize(("length", "is_cut"), [(99, False), (100, False), (101, True), (5000, True)])
def test_a_long_value_is_cut_to_the_limit_with_a_mark(length, is_cut):
    text = cut("x" * length, 100)
    assert len(text) == min(length, 100)
    assert text.endswith(CUT_MARK) is is_cut
