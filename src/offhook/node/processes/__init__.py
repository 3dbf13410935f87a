"""The processes of a node: who starts, watches and ends them, and how they hear of each other."""
