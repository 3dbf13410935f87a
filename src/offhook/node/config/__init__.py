"""The settings of a node: what may be set, how it is read and checked, and the page made of it."""
