"""What a run shows: report, curves, forecasts."""
