"""`make soak`: a gateway at half load for half an hour, its columnar store away a third of it."""
