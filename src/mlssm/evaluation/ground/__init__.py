"""Maps against soil moisture that was measured in the ground."""
