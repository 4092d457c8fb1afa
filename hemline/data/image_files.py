"""Picture files as a model takes them: exact, or refused.

    images = read([Path("shirt.png"), Path("many.npy")], shape=(28, 28, 1))     # a (N, 28, 28, 1) uint8 for each
    PictureError: a picture must be 28 x 28. Received: photo.png of 4000 x 3000. Scale it as the training data was.

Nothing is resized or converted with a loss: a model is as sure of a distorted picture as of any other.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hemline.errors import PictureError

Shape = tuple[int, int, int]  # (H, W, C)


def read(paths: Sequence[Path], shape: Shape) -> list[np.ndarray]:
    """The pictures of each file, (N, H, W, C) uint8. Raises PictureError with a line for each refused file, if any."""
    images, problems = [], []
    for path in paths:
        try:
            images.append(_read(path, shape))
        except PictureError as error:
            problems.append(str(error))
    if problems:
        raise PictureError("\n".join(problems))
    return images


def _read(path: Path, shape: Shape) -> np.ndarray:
    reader = {".png": _png, ".npy": _npy}.get(path.suffix.lower())
    if reader is None:
        raise _refusal("a file must be a PNG or NPY", path, f"which ends in {path.suffix!r}", "Convert it")
    try:
        path.open("rb").close()  # so that what fails below is the content
    except OSError as error:
        raise _refusal("a file must be there and readable", path, f"({error.strerror})", "Name another") from error
    return reader(path, shape)


def _png(path: Path, shape: Shape) -> np.ndarray:
    from PIL import Image

    height, width, channels = shape
    if channels not in (1, 3):
        raise _refusal(f"a picture of {channels} channels must be an NPY", path, "a PNG", "Save it as an array")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(path, formats=["PNG"])
        if image.size != (width, height):  # known before anything is decoded
            raise _size_refusal(path, f"{image.width} x {image.height}", shape)
        with path.open("rb") as file:
            depth = file.read(25)[24]  # from the header: Pillow reads 16 bits of colour as 8 without a word
        frames = getattr(image, "n_frames", 1)
        pixels = np.asarray(image.convert("RGBA"))  # (H, W, 4); exact from every mode of at most 8 bits
    except PictureError:
        raise
    except Exception as error:  # Pillow raises many kinds: no PNG, cut off, a decompression bomb
        raise _refusal("a .png must be a whole PNG", path, f"({error})", "Save it again") from error
    if depth > 8 or frames > 1:
        what = f"of {depth} bits" if depth > 8 else f"with {frames} frames"
        raise _refusal("a picture must have 8 bits a channel and one frame", path, what, "Convert it")
    if (pixels[..., 3] != 255).any():
        raise _refusal("a picture must be opaque", path, "with transparent pixels", "Give it a background")
    if channels == 1 and (pixels[..., :3] != pixels[..., :1]).any():
        raise _refusal(f"a picture must be {_words(shape)}", path, f"in colour (mode {image.mode})", "Make it grey")
    return pixels[None, ..., :channels]


def _npy(path: Path, shape: Shape) -> np.ndarray:
    remedy = "Write it with numpy.save"
    try:
        # Mapped, so that a header that promises more than the file has is refused and allocates nothing.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a pickle, objects, or whatever a damaged header leads to
        raise _refusal("a .npy must be a whole array of numbers", path, f"({error})", remedy) from error
    if not isinstance(array, np.ndarray):
        raise _refusal("a .npy must be one array", path, "an archive of several", remedy)
    if array.dtype != np.uint8:
        raise _refusal("pixels must be uint8, 0 to 255", path, f"of {array.dtype}", "Convert it as the training data")
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
    return _refusal(rule, path, f"of {received}", "Scale and cut it as the training data was")


def _refusal(rule: str, path: Path, received: str, remedy: str) -> PictureError:
    return PictureError(f"{rule}. Received: {path} {received}. {remedy}.")
