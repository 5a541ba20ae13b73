"""Imports that no garbage is looked for among."""

import gc

import pytest

from mlssm.processes import slow_imports


def test_what_is_imported_is_left_out_of_later_collections() -> None:
    with slow_imports():
        assert not gc.isenabled()
        imported = {"a": []}
    assert gc.isenabled()
    later = {"b": []}
    tracked = [id(item) for item in gc.get_objects()]
    assert id(later) in tracked
    assert id(imported) not in tracked


def test_an_import_that_fails_leaves_the_collector_on() -> None:
    with pytest.raises(ImportError), slow_imports():
        raise ImportError
    assert gc.isenabled()
