"""How files are written, checked and read back."""
