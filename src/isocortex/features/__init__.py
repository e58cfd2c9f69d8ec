"""What a model says: sources of models, their layers, and activations streamed to disk."""
