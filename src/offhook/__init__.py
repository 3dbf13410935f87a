"""offhook: programmable voice that you run yourself. This is the SDK's front door."""
