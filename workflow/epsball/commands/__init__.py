"""The command line, and what its commands and the start of a run share."""
