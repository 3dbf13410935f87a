"""Names of hosts and their addresses: who may ask how much, and what is remembered."""
