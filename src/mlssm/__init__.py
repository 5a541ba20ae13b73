"""ML-SSM: daily surface soil moisture maps from Sentinel-1, weather, terrain, soil and vegetation."""

__version__ = "0.1.0"
