"""Picture files as a model takes them: exact, or prepared as its training data was, or refused.

    images = read([Path("shirt.png"), Path("many.npy")], shape=(28, 28, 1))     # a (N, 28, 28, 1) uint8 for each
    images = read([Path("photo.jpg")], (32, 32, 3), manifest.config)            # of a model with image_size=32
    PictureError: a picture must be 28 x 28. Received: photo.png of 4000 x 3000. Scale it as the training data was.

A picture is scaled or made grey only if the training data was, by the same function. Nothing else is converted with a
loss: a model is as sure of a distorted picture as of any other.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hemline.config.data import DataConfig
from hemline.data.pictures import SUFFIXES, opened, pixels, refusal
from hemline.errors import PictureError

Shape = tuple[int, int, int]  # (H, W, C)


def read(paths: Sequence[Path], shape: Shape, config: DataConfig | None = None) -> list[np.ndarray]:
    """The pictures of each file, (N, H, W, C) uint8. Raises PictureError with a line for each refused file, if any.

    config: of the data that the model was trained on.
    """
    images, problems = [], []
    for path in paths:
        try:
            images.append(_read(path, shape, config or DataConfig()))
        except PictureError as error:
            problems.append(str(error))
    if problems:
        raise PictureError("\n".join(problems))
    return images


def _read(path: Path, shape: Shape, config: DataConfig) -> np.ndarray:
    suffix = path.suffix.lower()
    if suffix not in (".npy", *SUFFIXES):
        raise refusal("a file must be a PNG or NPY, or a JPEG", path, f"which ends in {path.suffix!r}", "Convert it")
    try:
        path.open("rb").close()  # so that what fails below is the content
    except OSError as error:
        raise refusal("a file must be there and readable", path, f"({error.strerror})", "Name another") from error
    return _npy(path, shape) if suffix == ".npy" else picture(path, path.read_bytes(), shape, config)


def picture(path: Path, content: bytes, shape: Shape, config: DataConfig) -> np.ndarray:
    """(1, H, W, C) uint8 of a PNG's or JPEG's content. path: what a refusal calls it."""
    height, width, channels = shape
    if channels not in (1, 3):
        raise refusal(f"a picture of {channels} channels must be an NPY", path, "a picture", "Save it as an array")
    image = opened(path, content)
    if config.image_size is None and image.size != (width, height):
        raise _size_refusal(path, f"{image.width} x {image.height}", shape)
    if channels == 1 and not config.grayscale:
        colours = np.asarray(image)  # (H, W, 3)
        if (colours != colours[..., :1]).any():
            raise refusal(f"a picture must be {_words(shape)}", path, "in colour", "Make it grey")
    return pixels(image, channels, config.image_size)[None]


def _npy(path: Path, shape: Shape) -> np.ndarray:
    remedy = "Write it with numpy.save"
    try:
        # Mapped, so that a header that promises more than the file has is refused and allocates nothing.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a pickle, objects, or whatever a damaged header leads to
        raise refusal("a .npy must be a whole array of numbers", path, f"({error})", remedy) from error
    if not isinstance(array, np.ndarray):
        raise refusal("a .npy must be one array", path, "an archive of several", remedy)
    if array.dtype != np.uint8:
        raise refusal("pixels must be uint8, 0 to 255", path, f"of {array.dtype}", "Convert it as the training data")
    if array.shape == shape or (shape[2] == 1 and array.shape == shape[:2]):
        return np.array(array).reshape(1, *shape)
    if array.shape[1:] != shape or len(array) == 0:
        raise _size_refusal(path, f"shape {array.shape}", shape)
    return np.array(array)


def _words(shape: Shape) -> str:
    height, width, channels = shape
    return f"{width} x {height} {'greyscale' if channels == 1 else f'of {channels} channels'}"


def _size_refusal(path: Path, received: str, shape: Shape) -> PictureError:
    rule = f"a picture must be {_words(shape)}, an array (N, {', '.join(map(str, shape))})"
    return refusal(rule, path, f"of {received}", "Scale and cut it as the training data was")
