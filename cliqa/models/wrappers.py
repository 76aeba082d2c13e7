"""Unwrapping models from DataParallel and torch.compile."""

from __future__ import annotations

from torch import nn


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the wrapped model, whose weights have their own names.

    ``nn.DataParallel`` and ``DistributedDataParallel`` put ``module.`` in front of them,
    ``torch.compile`` ``_orig_mod.``; and per-sample gradients do not work through any of them.

    >>> line = nn.Linear(1, 1)
    >>> unwrapped(nn.DataParallel(line)) is line
    True
    """
    while True:
        compiled = vars(model)["_modules"].get("_orig_mod")
        if isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            model = model.module
        elif compiled is not None:
            model = compiled
        else:
            return model
