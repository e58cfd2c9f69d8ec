"""Readouts: heads from spatial feature maps to responses, in closed form or trained by gradients.

`maps` reads them, `heads` are the differentiable ones, `training` trains them, `fit` says what all readouts return.
"""
