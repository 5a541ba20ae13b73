"""From an area's sources to its cube: everything is put onto one grid, once."""

from mlssm.prepare.area import prepare

__all__ = ["prepare"]
