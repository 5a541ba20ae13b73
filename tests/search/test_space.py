"""The space is what Hydra itself would sweep, borders and steps included."""

from types import SimpleNamespace

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st

from hydra_plugins.mlssm_optuna._sampling import Draw
from hydra_plugins.mlssm_optuna._space import Choice, Interval, Space, Steps, read_space

INTS = st.integers(-50, 50)
FLOATS = st.floats(-50, 50).map(lambda value: round(value, 3))


def space_of(*arguments: str) -> Space:
    return read_space({}, list(arguments), None)[0]


def draws(space: Space, sampler: str, count: int, seed: int = 0) -> list[dict]:
    """What Optuna takes for its own, drawn as a search draws it, nothing being tried yet."""
    study = optuna.create_study()
    found = []
    for number in range(count):
        search = SimpleNamespace(sampler=sampler, seed=seed, startup_trials=2, population=3)
        trial = study.ask()
        frozen = optuna.trial.FrozenTrial(**{**vars_of(study.trials[-1]), "number": number})
        params = Draw(search, space, set(), 0).params(study, frozen)
        for key, distribution in space.distributions().items():
            assert distribution._contains(distribution.to_internal_repr(params[key]))
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        study.add_trial(
            optuna.create_trial(params=params, distributions=space.distributions(), value=float(number % 3))
        )
        found.append(params)
    return found


def vars_of(trial: optuna.trial.FrozenTrial) -> dict:
    names = ("state", "value", "datetime_start", "datetime_complete", "params", "distributions", "user_attrs")
    names += ("system_attrs", "intermediate_values")
    return {name: getattr(trial, name) for name in names} | {"trial_id": trial._trial_id}


def hydra_sweeps(line: str) -> list:
    """The authority: what Hydra's own sweeper makes of it."""
    (override,) = OverridesParser.create().parse_overrides([line])
    return list(override.sweep_iterator())


@settings(max_examples=25, deadline=None)
@given(INTS, st.integers(1, 60), st.integers(1, 9), st.booleans())
def test_an_integer_range_gives_what_hydra_sweeps(low: int, width: int, step: int, log: bool) -> None:
    low = abs(low) + 1 if log else low
    line = f"k=range({low},{low + width},{step})"
    space = space_of(f"k=tag(log,range({low},{low + width},{step}))" if log else line)
    allowed = hydra_sweeps(line)
    assert [point["k"] for point in space.grid()] == allowed
    found = [params["k"] for params in draws(space, "random", 8)]
    assert set(found) <= set(allowed)
    assert all(isinstance(value, int) for value in found)


@settings(max_examples=25, deadline=None)
@given(FLOATS, st.floats(0.01, 20), st.floats(0.01, 5), st.booleans())
def test_a_float_range_gives_what_hydra_sweeps(low: float, width: float, step: float, log: bool) -> None:
    low = abs(low) + 0.5 if log else low
    inside = f"range({low!r},{low + width!r},{round(step, 2)!r})"
    allowed = hydra_sweeps(f"k={inside}")
    space = space_of(f"k=tag(log,{inside})" if log else f"k={inside}")
    texts = {space.overrides(params)[0] for params in [*draws(space, "random", 8), *space.grid()]}
    assert texts == {f"k={value!r}" for value in allowed} or texts < {f"k={value!r}" for value in allowed}


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-6, 10), st.floats(0, 10), st.booleans(), st.integers(0, 1000))
def test_an_interval_holds_its_borders(low: float, width: float, log: bool, seed: int) -> None:
    inside = f"interval({low!r},{low + width!r})"
    space = space_of(f"k=tag(log,{inside})" if log else f"k={inside}")
    for params in draws(space, "random", 4, seed):
        (override,) = space.overrides(params)
        assert low <= float(override.removeprefix("k=")) <= low + width


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "nsga2", "random"])
def test_every_sampler_keeps_steps_and_borders(sampler: str) -> None:
    space = space_of(
        "a=range(1,10,4)", "b=tag(log,range(1,50,7))", "c=int(interval(2,4))", "d=tag(log,interval(0.001,0.1))"
    )
    for params in draws(space, sampler, 25):
        assert params["a"] in (1, 5, 9)
        assert params["b"] in range(1, 50, 7)
        assert params["c"] in (2, 3, 4)
        assert 0.001 <= params["d"] <= 0.1


def test_forms() -> None:
    space, fixed = read_space(
        {"model.lag": "range(1,9)", "sampler": "natural,two_pass", "seed": 3},
        ["model.lag=range(9,1,-2)", "+model.x=choice([1],[2,3])", "loss=mse", "rate=interval(0,1)"],
        None,
    )
    assert space.dimensions == {
        "model.lag": Steps(range(3, 10, 2), False),
        "sampler": Choice(("natural", "two_pass"), ("natural", "two_pass")),
        "+model.x": Choice(("[1]", "[2,3]"), ("[1]", "[2,3]")),
        "rate": Interval(0.0, 1.0, False),
    }
    assert fixed == ["seed=3", "loss=mse"]
    assert space.size is None


def test_borders_are_met() -> None:
    """A range without its end, an integer interval with it."""
    assert {params["k"] for params in draws(space_of("k=range(1,4)"), "random", 40)} == {1, 2, 3}
    assert {params["k"] for params in draws(space_of("k=int(interval(1,4))"), "random", 40)} == {1, 2, 3, 4}
    texts = [space_of("k=range(0,0.55,0.1)").overrides(params)[0] for params in space_of("k=range(0,0.55,0.1)").grid()]
    assert texts == ["k=0.0", "k=0.1", "k=0.2", "k=0.3", "k=0.4", "k=0.5"]
