"""How good a model is, from few labels: powered estimates, designs of samples, and bounds that hold with a chance."""
