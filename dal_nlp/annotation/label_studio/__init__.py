"""Label Studio: its client, what its projects and answers look like, and the oracle that people answer there."""
