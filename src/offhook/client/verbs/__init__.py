"""How an app asks: one module a verb."""
