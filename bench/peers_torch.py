"""The contestants on PyTorch as its users write a loop: eager or compiled by Inductor, optimizers of torch.optim.

Images are gathered in words of 8 bytes, as ours are: single bytes made the eager epoch 1.2 to 1.5 times as long.
`peers_torch_whole` compiles a whole step.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, layer_norm

from bench.work import (
    ADAM_EPSILON,
    ADAM_RATE,
    BATCH_SIZE,
    BEST_ADAM_RATE,
    BEST_SGD_RATE,
    FILTERS,
    MUON_DECAY,
    MUON_MOMENTUM,
    MUON_RATE,
    NORM_EPSILON,
    SEED,
    SGD_RATE,
    WIDTHS,
    cosine,
    glorot,
    steps_of,
)
from bench.worker import Epoch

Optimizers = list[torch.optim.Optimizer]


def about() -> dict[str, str]:
    """What PyTorch computes with."""
    threads, between = torch.get_num_threads(), torch.get_num_interop_threads()
    parts = [name for name in ("mkldnn", "mkl", "openmp") if getattr(torch.backends, name).is_available()]
    text = f"{torch.__version__}, {', '.join(parts)}, {threads} threads in an operation, {between} between operations"
    return {"PyTorch": text.replace("mkldnn", "oneDNN").replace("mkl,", "MKL,").replace("openmp", "OpenMP")}


class Batches:
    """The examples, in an order of its own in every epoch."""

    def __init__(self, images: np.ndarray, labels: np.ndarray):
        self.words = torch.from_numpy(images.reshape(len(images), -1)).view(torch.int64)  # (N, 98)
        self.labels = torch.from_numpy(labels).long()
        self.random = torch.Generator().manual_seed(SEED)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """x: (B, 784) uint8. y: (B,)."""
        for batch in torch.randperm(len(self.labels), generator=self.random).split(BATCH_SIZE):
            yield self.words.index_select(0, batch).view(torch.uint8), self.labels[batch]


def mlp() -> nn.Sequential:
    """The MLP, of scaled pixels (B, 784)."""
    denses = [nn.Linear(fan_in, fan_out) for fan_in, fan_out in pairwise(WIDTHS)]
    with torch.no_grad():
        for dense, kernel in zip(denses, glorot(), strict=True):
            dense.weight.copy_(torch.from_numpy(kernel.T))
            dense.bias.zero_()
    norms = [nn.LayerNorm(width, eps=NORM_EPSILON) for width in WIDTHS[1:3]]
    return nn.Sequential(denses[0], norms[0], nn.ReLU(), denses[1], norms[1], nn.ReLU(), denses[2])


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of each pixel, (B, C, H, W): no copy where memory has the channels last."""

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps).permute(
            0, 3, 1, 2
        )


def cnn() -> nn.Sequential:
    """The CNN, of scaled pixels (B, 784), in the layout that PyTorch's guides advise for a CPU: channels last."""
    torch.manual_seed(SEED)
    layers: list[nn.Module] = [nn.Unflatten(1, (1, 28, 28))]
    for number, (inputs, outputs) in enumerate(pairwise((1, *FILTERS))):
        convolve = nn.Conv2d(inputs, outputs, 3, padding=1)
        nn.init.kaiming_normal_(convolve.weight)
        nn.init.zeros_(convolve.bias)
        layers += [nn.MaxPool2d(2)] if number else []
        layers += [convolve, ChannelNorm(outputs, eps=NORM_EPSILON), nn.ReLU()]
    logits = nn.Linear(FILTERS[-1], WIDTHS[-1])
    nn.init.xavier_uniform_(logits.weight)
    nn.init.zeros_(logits.bias)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), logits).to(memory_format=torch.channels_last)


def adam_and_sgd(model: nn.Sequential) -> Optimizers:
    """Adam below, SGD on the last layer, both fused."""
    lower = [parameter for layer in list(model)[:-1] for parameter in layer.parameters()]
    adam = torch.optim.Adam(lower, ADAM_RATE, eps=ADAM_EPSILON, fused=True)
    return [adam, torch.optim.SGD(model[-1].parameters(), SGD_RATE, fused=True)]


def muon_and_others(model: nn.Sequential) -> Optimizers:
    """best-mlp's. Muon of PyTorch computes its Newton-Schulz steps in bfloat16, ours in float32."""
    lower = [parameter for layer in list(model)[:-1] for parameter in layer.parameters()]
    matrices, others = [p for p in lower if p.ndim == 2], [p for p in lower if p.ndim == 1]
    options = {"weight_decay": MUON_DECAY, "momentum": MUON_MOMENTUM, "adjust_lr_fn": "match_rms_adamw"}
    muon = torch.optim.Muon(matrices, MUON_RATE, **options)
    adam = torch.optim.Adam(others, BEST_ADAM_RATE, eps=ADAM_EPSILON, fused=True)
    return [muon, adam, torch.optim.SGD(model[-1].parameters(), BEST_SGD_RATE, fused=True)]


def _train(
    model: nn.Sequential,
    optimizers: Optimizers,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    compiled: bool,
    scheduled: bool = False,
) -> Epoch:
    batches = Batches(images, labels)
    rates = [(group, group["lr"]) for optimizer in optimizers for group in optimizer.param_groups]

    def forward(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        logits = model(x.float() * (1 / 255))
        return cross_entropy(logits, y), (logits.argmax(1) == y).sum()

    compute: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = (
        torch.compile(forward, dynamic=False) if compiled else forward
    )

    def epoch(number: int) -> np.ndarray:
        shares = cosine(number, steps_of(len(images)))
        losses, correct = [], []
        for step, (x, y) in enumerate(batches):
            loss, hits = compute(x, y)
            for optimizer in optimizers:
                optimizer.zero_grad()
            loss.backward()
            if scheduled:
                for group, peak in rates:
                    group["lr"] = peak * float(shares[step])
            for optimizer in optimizers:
                optimizer.step()
            losses.append(loss.detach())
            correct.append(hits)
        torch.stack(correct).numpy()
        return torch.stack(losses).numpy()

    return epoch


def _mlp(images: np.ndarray, labels: np.ndarray, *, compiled: bool) -> Epoch:
    model = mlp()
    return _train(model, adam_and_sgd(model), images, labels, compiled=compiled)


def _best_mlp(images: np.ndarray, labels: np.ndarray, *, compiled: bool) -> Epoch:
    model = mlp()
    return _train(model, muon_and_others(model), images, labels, compiled=compiled, scheduled=True)


def _cnn(images: np.ndarray, labels: np.ndarray, *, compiled: bool) -> Epoch:
    model = cnn()
    return _train(model, adam_and_sgd(model), images, labels, compiled=compiled)


eager, inductor = partial(_mlp, compiled=False), partial(_mlp, compiled=True)
best_eager, best_inductor = partial(_best_mlp, compiled=False), partial(_best_mlp, compiled=True)
cnn_eager, cnn_inductor = partial(_cnn, compiled=False), partial(_cnn, compiled=True)
