"""The measurements behind docs/performance.md: real processes, real input, the load generator on the same cores."""
