"""One file a source; each yields arrays on the grid, with units and provenance. Only this room knows file formats."""
