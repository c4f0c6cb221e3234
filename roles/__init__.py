"""The roles a process can play, each wiring the packages below it; only main.py calls them."""
