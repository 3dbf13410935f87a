"""The client: its settings, its link to a session, how it serves and how it leaves; imports every room."""
