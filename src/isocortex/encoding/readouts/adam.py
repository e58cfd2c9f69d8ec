"""Adam for many neuroids at once, each with a rate of its own, of which the finished ones leave."""

from __future__ import annotations

import torch

FIRST, SECOND, FLOOR = 0.9, 0.999, 1e-8
SHARED = "shared."


class Adam:
    """Steps on `state`, whose tensors have neuroids on the first axis but for those called "shared.…" (Kingma & Ba 2015).

    rates : (v,) learning rates, changed by whoever holds them; `shared_rate` is that of shared tensors, whose weights decay by
    `decay` times it (decoupled, Loshchilov & Hutter 2019). Integer tensors are left alone.
    """

    def __init__(self, state: dict[str, torch.Tensor], rates: torch.Tensor, decay: float = 0.0) -> None:
        self.state, self.rates, self.decay = state, rates, decay
        self.shared_rate = float(rates[0]) if len(rates) else 0.0
        self.trained = [name for name, part in state.items() if part.is_floating_point()]
        self.mean = {name: torch.zeros_like(state[name]) for name in self.trained}
        self.square = {name: torch.zeros_like(state[name]) for name in self.trained}
        self.steps = 0
        for name in self.trained:
            state[name].requires_grad_(True)

    @torch.no_grad()
    def step(self, gradients: tuple[torch.Tensor | None, ...]) -> None:
        """One step by gradients in the order of `trained`, None where a tensor had no part in the loss."""
        self.steps += 1
        first, second = 1 - FIRST**self.steps, 1 - SECOND**self.steps
        for name, gradient in zip(self.trained, gradients, strict=True):
            if gradient is None:
                continue
            part, mean, square = self.state[name], self.mean[name], self.square[name]
            mean.lerp_(gradient, 1 - FIRST)
            square.mul_(SECOND).addcmul_(gradient, gradient, value=1 - SECOND)
            change = mean / square.sqrt().div_(second**0.5).add_(FLOOR)
            if name.startswith(SHARED):
                part.mul_(1 - self.shared_rate * self.decay).sub_(change, alpha=self.shared_rate / first)
            else:
                part.sub_(change.mul_(along(self.rates / first, part)))

    @torch.no_grad()
    def keep(self, which: torch.Tensor) -> None:
        """Go on with some neuroids only."""
        self.rates = self.rates[which]
        for name, part in list(self.state.items()):
            if not name.startswith(SHARED):
                self.state[name] = part.detach()[which].requires_grad_(name in self.mean)
                if name in self.mean:
                    self.mean[name], self.square[name] = self.mean[name][which], self.square[name][which]


def along(values: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
    """Values (v,) against a tensor (v, …)."""
    return values.view(-1, *[1] * (part.ndim - 1))
