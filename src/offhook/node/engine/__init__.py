"""What the node needs of an engine, and the process that provides it."""
