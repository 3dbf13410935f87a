"""RELAY in and out: sessions, authority, offers, delivery of events."""
