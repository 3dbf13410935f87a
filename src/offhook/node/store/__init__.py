"""The journal of events and the index of recordings."""
