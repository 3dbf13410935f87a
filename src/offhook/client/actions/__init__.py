"""What every verb stands on: actions, and the call that starts, steers and ends them; imports `listening`, `events`."""
