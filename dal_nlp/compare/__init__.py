"""Several strategies against random on the same seeds: the statistics of it, as functions on arrays."""
