"""A simulated phone and the fakes that users' tests need. Public."""
