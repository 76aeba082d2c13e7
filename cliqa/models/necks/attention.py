"""A transformer's layer: attention of tokens to themselves or to others, and a perceptron."""

from __future__ import annotations

from torch import Tensor, nn

from cliqa.models.arguments import check_below_one, check_positive
from cliqa.utils.errors import ConfigError


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al., 2017, section 3.2.2).

    Args:
        dim: D.
        heads: Heads; they share D among them.
        dropout: Probability of dropping a weight in training, 0..1.

    Raises:
        ConfigError: A size is not above 0, or `heads` does not divide `dim`.
    """

    def __init__(self, dim: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        check_positive("Attention", dim=dim, heads=heads)
        check_below_one("Attention", dropout=dropout)
        if dim % heads:
            raise ConfigError(f"Attention: heads={heads} does not divide dim={dim}.")
        self.heads = heads
        self.query, self.key_value = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(dim, dim)
        self.drop = nn.Dropout(dropout)
        nn.init.kaiming_normal_(self.out.weight)
        for layer in (self.query, self.key_value):
            nn.init.xavier_uniform_(layer.weight)
        for layer in (self.query, self.key_value, self.out):
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """Return (B, L, D) for tokens (B, L, D) that attend to others (B, M, D)."""
        shape = (self.heads, -1)
        q = self.query(x).unflatten(-1, shape).transpose(1, 2)  # (B, heads, L, d)
        k, v = self.key_value(memory).unflatten(-1, (2, *shape)).transpose(1, 3).unbind(2)
        # explicit: torch's fused attention has no vmap rule, which per-sample gradients need
        shares = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1)  # (B, heads, L, M)
        found: Tensor = self.out((self.drop(shares) @ v).transpose(1, 2).flatten(2))
        return found


class AttentionLayer(nn.Module):
    """Attention and a perceptron (D, 4 D, D), each after a normalisation and with a shortcut.

    Args:
        dim: D.
        heads: See `Attention`.
        dropout: Probability of dropping a value in training, 0..1.
        cross: The tokens attend to others, which have a normalisation of their own.

    Raises:
        ConfigError: See `Attention`.
    """

    def __init__(self, dim: int, heads: int, dropout: float = 0.0, cross: bool = False) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.norm_memory = nn.LayerNorm(dim) if cross else None
        self.attention = Attention(dim, heads, dropout)
        first, last = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.perceptron = nn.Sequential(first, nn.GELU(), nn.Dropout(dropout), last)
        self.drop = nn.Dropout(dropout)
        for layer in (first, last):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        """Return (B, L, D) for tokens (B, L, D) and, with `cross`, others (B, M, D)."""
        own = self.norm1(x)
        seen = own if self.norm_memory is None else self.norm_memory(memory)
        x = x + self.drop(self.attention(own, seen))
        found: Tensor = x + self.drop(self.perceptron(self.norm2(x)))
        return found
