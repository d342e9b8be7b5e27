"""The HTTP API. Only modules in here know FastAPI."""
