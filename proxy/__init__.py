"""The data plane: answers every call of an OpenAI client. Read pipeline.py first."""
