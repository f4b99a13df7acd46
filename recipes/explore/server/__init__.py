"""What a live server stands on: who may come in, what open pages are sent, their files, and the workers."""
