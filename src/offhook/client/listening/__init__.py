"""Who is told of events: handlers, the tasks that they run in, and those that wait; imports `events`."""
