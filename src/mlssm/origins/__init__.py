"""Where an area's files come from, one service a file; each writes what agencies deliver."""
