"""What every other part builds on: errors, files, events, the state of a run and its ledger."""
