"""Station weather: reading, quality checks, evapotranspiration, antecedent windows and interpolation."""
