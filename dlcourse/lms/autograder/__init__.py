"""A Gradescope autograder: what is packed for it, and what runs in its container."""
