"""Params, results and events of each verb, one module a verb."""
