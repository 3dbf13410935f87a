"""The wire without IO, bytes and time in, outputs and the next deadline out; imports no other room."""
