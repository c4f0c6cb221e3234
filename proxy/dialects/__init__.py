"""Inbound dialects: what the pipeline must know of each API a caller may speak."""
