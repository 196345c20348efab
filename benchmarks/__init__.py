"""How fast ckpt is, as ratios to named limits: `python -m benchmarks`."""
