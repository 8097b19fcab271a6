"""What leaves the machine: a run's model and its labeled data, for others."""
