"""What has happened in a run: events, the file that holds them, and the state that they add up to."""
