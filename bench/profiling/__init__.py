"""Where the proxy spends its time: `make profile`, see docs/benchmarks.md."""
