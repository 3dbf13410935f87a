"""The node: RELAY gateway, call logic, verbs, speech and store."""
