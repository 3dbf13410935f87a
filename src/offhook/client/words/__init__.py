"""What a program writes, the shapes of arguments, and how they become params; imports `protocol`."""
