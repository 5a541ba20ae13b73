"""A simulated watershed: it writes the same files that a real area has, and the true soil moisture beside them."""

from mlssm.origins.simulation.simulate import SIMULATOR_VERSION, simulate

__all__ = ["SIMULATOR_VERSION", "simulate"]
