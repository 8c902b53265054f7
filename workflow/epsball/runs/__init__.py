"""The folder of a run: stores, atomic files, lock, provenance, progress."""
