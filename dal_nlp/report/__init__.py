"""What a run shows: report, curves, forecasts."""

#: Rounds of the shortest curve that can be continued: three parameters leave two degrees of freedom.
LEAST_POINTS = 5
