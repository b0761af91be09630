"""Which scenes make pairs, how well they lie on each other, and which patches are one place."""
