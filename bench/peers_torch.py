"""The contestants on PyTorch: eager with fused optimizers, and the same compiled by Inductor."""

from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from bench.worker import ADAM_EPSILON, ADAM_RATE, BATCH_SIZE, NORM_EPSILON, SEED, SGD_RATE, WIDTHS, Epoch, glorot


def _train(images: np.ndarray, labels: np.ndarray, *, compiled: bool) -> Epoch:
    device_images, device_labels = torch.from_numpy(images.reshape(-1, WIDTHS[0])), torch.from_numpy(labels).long()
    denses = [nn.Linear(fan_in, fan_out) for fan_in, fan_out in pairwise(WIDTHS)]
    with torch.no_grad():
        for dense, kernel in zip(denses, glorot(), strict=True):
            dense.weight.copy_(torch.from_numpy(kernel.T))
            dense.bias.zero_()
    norms = [nn.LayerNorm(width, eps=NORM_EPSILON) for width in WIDTHS[1:3]]
    model = nn.Sequential(denses[0], norms[0], nn.ReLU(), denses[1], norms[1], nn.ReLU(), denses[2])
    lower = [parameter for layer in list(model)[:-1] for parameter in layer.parameters()]
    adam = torch.optim.Adam(lower, ADAM_RATE, eps=ADAM_EPSILON, fused=True)
    sgd = torch.optim.SGD(denses[2].parameters(), SGD_RATE, fused=True)
    random = torch.Generator().manual_seed(SEED)

    def forward(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        logits = model(x.float() * (1 / 255))
        return cross_entropy(logits, y), (logits.argmax(1) == y).sum()

    compute = torch.compile(forward, dynamic=False) if compiled else forward

    def epoch(number: int) -> np.ndarray:
        order = torch.randperm(len(device_images), generator=random)
        losses, correct = [], []
        for batch in order.split(BATCH_SIZE):
            loss, hits = compute(device_images[batch], device_labels[batch])
            adam.zero_grad()
            sgd.zero_grad()
            loss.backward()
            adam.step()
            sgd.step()
            losses.append(loss.detach())
            correct.append(hits)
        torch.stack(correct).numpy()
        return torch.stack(losses).numpy()

    return epoch


eager = partial(_train, compiled=False)
inductor = partial(_train, compiled=True)
