"""Limits and budgets at admission: what is claimed, what counts it, what a refusal says."""
