"""Readers of soil moisture that was measured in the ground: ISMN's archives, USCRN's files, plain tables."""
