"""Models: loading, forward passes, draws, measurements, training."""
