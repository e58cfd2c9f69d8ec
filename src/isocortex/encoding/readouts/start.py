"""Where training starts: from the covariance of maps and responses, never at random."""

from __future__ import annotations

import torch

from isocortex.compute import batches

NORM_FLOOR = 1e-6
# Covariances (v, c·h·w) are made for as many neuroids at a time as fit this size.
PIECE_BYTES = 1 << 28


def lengths_one(masks: torch.Tensor) -> torch.Tensor:
    """Masks (v, h, w) divided by their L2 norm + 1e-6."""
    return masks / (masks.flatten(1).norm(dim=1)[:, None, None] + NORM_FLOOR)


def filled(y: torch.Tensor) -> torch.Tensor:
    """Responses with 0, the mean of z-scores, where they are missing."""
    return torch.where(torch.isfinite(y), y, 0.0)


def spectral_start(maps: torch.Tensor, y: torch.Tensor, rounds: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    """Masks (v, h, w) of length 1 and features (v, c) nearest to the covariance of maps (n, c, h, w) and responses (n, v): its
    rank-one part, by power iteration.

    A random start of a product of two factors lies on a plateau; this one is already at the right place and sign.
    """
    n, channels, height, width = maps.shape
    last = not maps.is_contiguous()  # channels next to one another: no copy is made to have them otherwise
    flat, answers = (maps.permute(0, 2, 3, 1) if last else maps).reshape(n, -1), filled(y).to(maps.dtype)
    masks, features = [maps.new_zeros(0, height, width)], [maps.new_zeros(0, channels)]
    for part in batches(y.shape[1], maps.element_size() * flat.shape[1], PIECE_BYTES):
        covariance = answers[:, part].T @ flat / n
        covariance = covariance.view(-1, height * width, channels).mT if last else covariance.view(-1, channels, height * width)
        mask = covariance.abs().sum(1)
        for _ in range(rounds):
            mask = mask / (mask.norm(dim=1, keepdim=True) + NORM_FLOOR)
            vector = torch.bmm(covariance, mask[:, :, None])
            mask = torch.bmm(vector.transpose(1, 2), covariance)[:, 0]
        mask = mask / (mask.norm(dim=1, keepdim=True) + NORM_FLOOR)
        # A mask is positive where its neuroid looks; the sign that is free goes to the features.
        mask = mask * torch.where(mask.sum(1, keepdim=True) < 0, -1.0, 1.0)
        masks.append(mask.view(-1, height, width))
        features.append(torch.bmm(covariance, mask[:, :, None])[:, :, 0])
    return torch.cat(masks), torch.cat(features)


def half_sized(features: torch.Tensor, predicted: torch.Tensor) -> torch.Tensor:
    """Features (v, c) so scaled that what they predict, (n, v) as they are, has half a standard deviation."""
    spread = (predicted - predicted.mean(0)).square().mean(0).sqrt()
    return features / (spread + NORM_FLOOR)[:, None] / 2
