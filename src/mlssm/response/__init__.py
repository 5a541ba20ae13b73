"""How soil moisture responds to antecedent rain: closed forms fitted on training dates, in seconds, without a seed."""
