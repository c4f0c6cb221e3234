"""Engines by URL scheme, with no domain in them: SQL, columnar, in-memory cache, migrations."""
