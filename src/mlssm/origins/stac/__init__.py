"""Any STAC API: its items, its signed links, and the windows of its files."""
