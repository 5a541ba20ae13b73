"""What is made of a folder's maps for other programs: catalogues, statistics of zones, other grids and formats."""
