"""How an app asks, one verb each: every method of the reference; imports `actions`, `listening`, `events`, `words`."""
