"""What a client has: the call with all its verbs; its calls, dials and messages; imports `verbs` and what these do."""
