"""What Headrace costs, measured beside its peers in one run: docs/benchmarks.md."""
