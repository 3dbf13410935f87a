"""How an app asks, one verb each; imports `actions`, `listening`, `events`, `words`; the client's own verbs `calls`, too."""
