"""What each quantity's rasters must be: by their headers, and by their values. One file a quantity."""
