"""The contestants of `bench.reaching` on PyTorch: an eager loop, a fused optimizer, a cycle of the rate.

Not compiled: Inductor takes longer for that than these trainings take, and its epochs are no faster
(docs/performance.md).
"""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from bench import peers_torch
from bench.reaching_worker import AfterEpoch, Task
from bench.work import NORM_EPSILON

FILTERS = (32, 64, 120)  # of fast_cnn


def mlp(images: np.ndarray, labels: np.ndarray, task: Task, after_epoch: AfterEpoch) -> None:
    """The MLP, in float32."""
    torch.manual_seed(task.seed)
    model = peers_torch.mlp()
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
    _train(nn.Sequential(nn.Flatten(), *model), images, labels, task, after_epoch, convolves=False)


def fast_cnn(images: np.ndarray, labels: np.ndarray, task: Task, after_epoch: AfterEpoch) -> None:
    """The CNN, channels last, in bfloat16, on images mirrored and moved by a pixel."""
    torch.manual_seed(task.seed)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise((1, *FILTERS)):
        convolve = nn.Conv2d(inputs, outputs, 3, padding=1)
        nn.init.kaiming_normal_(convolve.weight)
        nn.init.zeros_(convolve.bias)
        half = [nn.MaxPool2d(2, ceil_mode=True)]
        norm = [peers_torch.ChannelNorm(outputs, eps=NORM_EPSILON), nn.ReLU()]
        layers += [convolve, *(norm + half if outputs == FILTERS[-1] else half + norm)]
    logits = nn.Linear(FILTERS[-1] * 16, 10)
    nn.init.xavier_uniform_(logits.weight)
    nn.init.zeros_(logits.bias)
    model = nn.Sequential(*layers, nn.Flatten(), logits).to(memory_format=torch.channels_last)
    _train(model, images, labels, task, after_epoch, convolves=True)


def changed(x: Tensor) -> Tensor:
    """Half of the images mirrored, each moved by up to a pixel along both axes. x: (B, 1, H, W) uint8."""
    x = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x)
    padded, height, width = pad(x, (1, 1, 1, 1)), x.shape[2], x.shape[3]
    rows = torch.randint(3, (len(x), 1)) + torch.arange(height)  # (B, H)
    columns = torch.randint(3, (len(x), 1)) + torch.arange(width)  # (B, W)
    return padded[torch.arange(len(x))[:, None, None], 0, rows[:, :, None], columns[:, None, :]][:, None]


def _train(
    model: nn.Sequential, images: np.ndarray, labels: np.ndarray, task: Task, after_epoch: AfterEpoch, convolves: bool
) -> None:
    """settings: optimizer, rate at its highest, batch."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()  # (N, 1, H, W)
    classes, batch = torch.from_numpy(labels).long(), task.settings["batch"]
    half = torch.autocast("cpu", torch.bfloat16, enabled=convolves)
    optimizer: torch.optim.Optimizer = (
        torch.optim.Adam(model.parameters(), fused=True)
        if task.settings["optimizer"] == "adam"
        else torch.optim.SGD(model.parameters(), momentum=0.9, nesterov=True, fused=True)
    )
    steps = -(-len(pixels) // batch)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, task.settings["rate"], total_steps=task.epochs * steps, cycle_momentum=False
    )

    @torch.no_grad()
    def predict(images: np.ndarray) -> np.ndarray:
        inputs = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().split(1000)
        with half:
            return torch.cat([model(x.float() * (1 / 255)).float() for x in inputs]).numpy()

    for _ in range(task.epochs):
        for indices in torch.randperm(len(pixels)).split(batch):
            x = changed(pixels[indices]) if convolves else pixels[indices]
            with half:
                logits = model(x.float() * (1 / 255))
            loss = cross_entropy(logits.float(), classes[indices])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            cycle.step()
        after_epoch(predict)
