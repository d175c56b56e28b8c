"""What the service promises and does, without a technology: `engine` (claim, run, complete), use cases, ports."""
