"""isocortex: how like a brain a model is, region by region."""
