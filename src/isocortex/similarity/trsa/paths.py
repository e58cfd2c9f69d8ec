"""Shortest paths between all pairs of nodes of many small undirected graphs.

Floyd–Warshall, whatever the density: its n³/2 sums and minima run at .13 ns each in vector registers, so that n searches of
Dijkstra, at 10 ns for each of their 2 m edges and n log n steps of the queue, are slower from half a per cent of the edges up
to n = 1000 (SciPy, measured), and a denser graph costs nothing.
"""

from __future__ import annotations

import torch


def shortest_paths(lengths: torch.Tensor) -> torch.Tensor:
    """Lengths (B, n, n) of the shortest paths of graphs with symmetric edge `lengths` (B, n, n) ≥ 0, infinite where there is no
    edge, as where there is no path; float64, zeros on the diagonal. An edge of length 0 is an edge.

    On a GPU all graphs advance together, a node at a time.
    """
    paths = lengths.to(torch.float64, copy=True).contiguous()
    paths.diagonal(dim1=1, dim2=2).zero_()
    if paths.device.type != "cpu":
        return together(paths)
    from isocortex.similarity.trsa.floyd import floyd_warshall  # Numba takes a while to import

    for graph in paths.numpy():
        floyd_warshall(graph)
    return paths


def together(paths: torch.Tensor) -> torch.Tensor:
    """Floyd–Warshall in place of graphs (B, n, n), all at once."""
    for node in range(paths.shape[1]):
        torch.minimum(paths, paths[:, :, node, None] + paths[:, None, node, :], out=paths)
    return paths
