"""What keeps a network as it was, and everybody else's state apart, while it is read."""
