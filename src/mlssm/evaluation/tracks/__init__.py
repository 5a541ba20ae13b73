"""What two tracks of the same place agree on: evidence for how labels are made."""
