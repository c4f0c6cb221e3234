"""The mock provider: a deterministic OpenAI-like server with a bill of its own."""
