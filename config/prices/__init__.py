"""List prices of models: the committed book, and the tool that builds it from two sources."""
