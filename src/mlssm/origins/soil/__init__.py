"""Soil as classes: SSURGO, SoilGrids, POLARIS."""
