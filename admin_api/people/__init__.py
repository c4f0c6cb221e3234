"""People: how they sign in, prove it again, and hand a part of it to their programs."""
