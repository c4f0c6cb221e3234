"""Netra Apex beside other gateways, alternating in one run: see docs/benchmarks.md."""
