"""Which patches there are, which split each belongs to, and which are drawn; the data stay where they are."""
