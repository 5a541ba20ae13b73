"""How sure a map is: intervals calibrated on dates that the model had not seen, with dates as what is exchangeable."""
