"""Legs, calls, dialling and routing, as they are on the phone network."""
