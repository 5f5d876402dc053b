"""Train with a textbook PyTorch loop: a TensorDataset, a shuffling DataLoader, zero_grad, backward, step."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import torch._dynamo  # torch.optim imports it at its first use; imports are not timed
from bound import Weights
from recipes import Recipe
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the usual name
from torch.utils.data import DataLoader, TensorDataset

__all__ = ["train"]


class _VAE(nn.Module):
    def __init__(self, n_features: int, hidden: int, n_latent: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(n_features, hidden), nn.ReLU(), nn.Linear(hidden, 2 * n_latent))
        self.decoder = nn.Sequential(nn.Linear(n_latent, hidden), nn.ReLU(), nn.Linear(hidden, n_features))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mu, log_var = self.encoder(x).chunk(2, dim=-1)
        z = mu + torch.exp(0.5 * log_var) * torch.randn_like(mu)
        reconstruction = F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        kl = -0.5 * torch.sum(1 + log_var - mu.pow(2) - log_var.exp())
        return (reconstruction + kl) / len(x)


def train(
    X: np.ndarray, n_latent: int, hidden: int, recipe: Recipe, seed: int, device: str = "cpu", *, resident: bool = False
) -> tuple[dict[str, float], Weights]:
    """Train; return the seconds and the weights. With `resident` all rows are on the device, without a DataLoader."""
    torch.manual_seed(seed)
    model = _VAE(X.shape[1], hidden, n_latent)
    start = time.perf_counter()
    rows = torch.from_numpy(X).to(device if resident else "cpu")
    loader = DataLoader(TensorDataset(rows), batch_size=recipe.batch_size, shuffle=True)
    model.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate)
    for _ in range(recipe.epochs):
        for (x,) in _permuted(rows, recipe.batch_size) if resident else loader:
            optimizer.zero_grad()
            loss = model(x.to(device))
            loss.backward()
            optimizer.step()
    if device != "cpu":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    model.cpu()
    return {"seconds": seconds}, Weights(_affine(model.encoder), _affine(model.decoder))


def _permuted(rows: torch.Tensor, batch_size: int) -> Iterator[tuple[torch.Tensor]]:
    for order in torch.randperm(len(rows), device=rows.device).split(batch_size):
        yield (rows[order],)


def _affine(layers: nn.Sequential) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(m.weight.detach().numpy().T, m.bias.detach().numpy()) for m in layers if isinstance(m, nn.Linear)]
