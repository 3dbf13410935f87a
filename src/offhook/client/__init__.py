"""The SDK: a session with a node, calls, actions and events."""
