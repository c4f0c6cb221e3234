"""What may and should happen: policies, API keys and the snapshot that the proxies read."""
