"""What everything else stands on: errors, chance, text, the configuration, the ledger."""
