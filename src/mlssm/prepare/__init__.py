"""From an area's sources to its cube: everything is put onto one grid, once."""
