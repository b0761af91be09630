"""Training: one readable loop, exact resumption, and the run folder it writes."""
