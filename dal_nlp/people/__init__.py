"""People as oracles: how their answers are read, kept, compared and settled, whatever channel they come through."""
