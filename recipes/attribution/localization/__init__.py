"""From heat maps to boxes and masks, and boxes read from files."""
