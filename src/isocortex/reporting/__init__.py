"""Pages a person decides from: figures, tables and self-contained HTML, made from a region's files and nothing else."""
