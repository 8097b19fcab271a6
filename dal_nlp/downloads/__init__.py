"""What comes through pip: the demonstration's data and models."""
