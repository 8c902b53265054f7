"""What a person looks at: figures, the report, the text at the end of a run."""
