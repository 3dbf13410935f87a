"""What a node keeps between its starts: who it is, what it spent, and what is old."""
