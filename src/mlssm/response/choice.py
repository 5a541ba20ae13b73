"""What a setting scores on held-out training seasons, and which of its values is chosen by that."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlssm.errors import DataError


@dataclass(frozen=True)
class Choice:
    """What a setting scores on held-out seasons.

    Attributes:
        value: Chosen.
        errors: Mean squared error of every candidate.
    """

    value: float
    errors: dict[float, float]

    @classmethod
    def least(cls, errors: dict[float, float]) -> Choice:
        """The candidate with the least error; the first of those alike."""
        return cls(min(errors, key=lambda value: errors[value]), errors)


@dataclass
class Squares:
    """Mean squared error of candidates, summed part by part."""

    total: dict[float, float] = field(default_factory=dict)
    count: dict[float, int] = field(default_factory=dict)

    def add(self, value: float, squares: float, count: int) -> None:
        """Count the sum of a candidate's squared errors on so many labels."""
        self.total[value] = self.total.get(value, 0.0) + squares
        self.count[value] = self.count.get(value, 0) + count

    def chosen(self) -> Choice:
        """The candidate that leaves least.

        Raises:
            DataError: Nothing was counted.
        """
        if not any(self.count.values()):
            raise DataError(
                "fewer than two training seasons have labels, and choices by held-out seasons need two: see what masks "
                "pixels (retrieval.min_sensitivity_db, water_below_db, frozen_below_c), or hold out fewer seasons"
            )
        return Choice.least({value: self.total[value] / self.count[value] for value in self.total})
