"""Similarity of stimuli as people judge it: pure functions from judgements to dissimilarities."""
