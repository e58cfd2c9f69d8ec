"""Joint encoders: several feature spaces predict a region together, and each group of them is left out and taken alone."""
