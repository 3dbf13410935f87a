"""What a verb does: one module a verb."""
