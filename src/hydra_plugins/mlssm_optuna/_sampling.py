"""How the next point is drawn: by one of Optuna's samplers, again and again until it is a new one."""

from __future__ import annotations

import itertools
import random
from collections.abc import Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra_plugins.mlssm_optuna._settings import Settings
from hydra_plugins.mlssm_optuna._space import Interval, Point, Space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

REDRAWS = 50  # before any new point will do
LISTED = 100_000  # points of a space that are listed to find those left; in a larger one a random point is new soon
PRIME = 1_000_003  # keeps the streams of neighbouring seeds apart


def inner_sampler(settings: Settings, seed: int) -> BaseSampler:
    """Optuna's sampler of that name, seeded; for the grid a random one, which only fills in."""
    from optuna import samplers

    if settings.sampler == "tpe":
        return samplers.TPESampler(n_startup_trials=settings.startup_trials, seed=seed)
    if settings.sampler == "cmaes":
        return samplers.CmaEsSampler(
            n_startup_trials=settings.startup_trials, seed=seed, warn_independent_sampling=False
        )
    if settings.sampler == "nsga2":
        return samplers.NSGAIISampler(population_size=settings.population, seed=seed)
    return samplers.RandomSampler(seed=seed)


@dataclass(frozen=True)
class Draw:
    """What one draw depends on; the same values draw the same point, in whichever process.

    Attributes:
        settings: Of the search.
        space: Where to draw from.
        tried: Points that are not to be drawn again.
        uncounted: Trials of the study so far that do not count; so that a search that was killed goes on as if not.
    """

    settings: Settings
    space: Space
    tried: Set[Point]
    uncounted: int

    def params(self, study: Study, trial: FrozenTrial) -> dict[str, Any]:
        """An untried point for a trial; where all are tried, one of those."""
        if self.settings.sampler == "grid":
            return next(filter(self._new, self.space.grid()), next(self.space.grid()))
        seed = self.settings.seed * PRIME + trial.number - self.uncounted
        inner = inner_sampler(self.settings, seed % 2**32)
        params = self._by(inner, study, trial)
        for _ in range(REDRAWS):
            if self._new(params):
                return params
            params = self._by(inner, study, trial)
        return params if self._new(params) else self._any_new(seed) or params

    def _by(self, inner: BaseSampler, study: Study, trial: FrozenTrial) -> dict[str, Any]:
        known = inner.infer_relative_search_space(study, trial)
        drawn = inner.sample_relative(study, trial, known)
        for key, distribution in self.space.distributions().items():
            if key not in drawn:
                drawn[key] = inner.sample_independent(study, trial, key, distribution)
        return self.space.snap(drawn)

    def _any_new(self, seed: int) -> dict[str, Any] | None:
        generator, size = random.Random(seed), self.space.size
        if size is not None and size <= LISTED:
            left = list(filter(self._new, self.space.grid()))
            return generator.choice(left) if left else None
        drawn = (self._at_random(generator) for _ in itertools.repeat(None, LISTED))
        return next(filter(self._new, drawn), None)

    def _at_random(self, generator: random.Random) -> dict[str, Any]:
        return {
            key: generator.uniform(dimension.low, dimension.high)
            if isinstance(dimension, Interval)
            else generator.choice(dimension.values)
            for key, dimension in self.space.dimensions.items()
        }

    def _new(self, params: dict[str, Any]) -> bool:
        return self.space.point(params) not in self.tried


def untried_sampler(draw: Draw) -> BaseSampler:
    """A sampler for one ask: it draws whole points."""
    from optuna.samplers import BaseSampler

    class Untried(BaseSampler):
        def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
            return draw.space.distributions()

        def sample_relative(
            self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
        ) -> dict[str, Any]:
            return draw.params(study, trial)

        def sample_independent(
            self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
        ) -> Any:
            raise AssertionError(f"{param_name} lies outside of {param_distribution}")  # points are drawn whole

    return Untried()
