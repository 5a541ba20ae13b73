"""Weather: what stations, tables and grids hold, read into one checked record of all stations."""
