"""What is trained in a round, and how."""
