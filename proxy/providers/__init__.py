"""Providers: dialects beside OpenAI's, and the built-in mock."""
