"""What does a session's IO, from names to sockets and TLS, and what records it; imports `session`."""
