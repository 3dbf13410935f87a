"""How an app asks, one verb each; imports `actions`, `listening`, `events`, `words`, and for two verbs `calls`."""
