"""Google Earth Engine: what it is asked, and the pixels that it computes."""
