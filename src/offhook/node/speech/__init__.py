"""Text to speech: a port, and one module for each provider."""
