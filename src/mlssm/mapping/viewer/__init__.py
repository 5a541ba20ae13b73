"""The viewer: one page that shows a folder's maps day by day, offline."""
