"""`make demo`: a cut of real traces, replayed through a throw-away gateway to the mock provider."""
