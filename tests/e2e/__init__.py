"""The whole gateway in its own processes, driven as its users do."""
