"""A picture as a model takes it. What is trained on and what is asked about go through the same two functions.

    image = opened(path, path.read_bytes())         # upright, in RGB; PictureError says why a file cannot be used
    array = pixels(image, channels=1, size=32)      # (32, 32, 1) uint8

PNG and JPEG are read. A picture is turned upright as its EXIF orientation says; colour profiles are not applied. Grey
is 0.299 R + 0.587 G + 0.114 B (ITU-R 601), rounded, and is made before scaling. Scaling is Pillow's bilinear filter,
which averages all pixels that become one (antialiased), and stretches to the square. Pillow and NumPy alone decide it.
"""

import io
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from hemline.errors import PictureError

SUFFIXES = (".png", ".jpg", ".jpeg")
RESAMPLING = Image.Resampling.BILINEAR


def opened(path: Path, content: bytes) -> Image.Image:
    """The picture in RGB, upright, or PictureError: nothing is guessed that its file does not say."""
    try:
        file = Image.open(io.BytesIO(content), formats=["PNG", "JPEG"])
        if file.width * file.height > (Image.MAX_IMAGE_PIXELS or math.inf):  # before anything is decoded
            raise ValueError(f"{file.width} x {file.height} pixels are too many")
        png, mode = file.format == "PNG", file.mode
        depth = content[24] if png else 8  # from the header: Pillow reads 16 bits of colour as 8 without a word
        frames = getattr(file, "n_frames", 1) if png else 1  # a camera's JPEG may have a preview behind the picture
        image = ImageOps.exif_transpose(file)
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    except Exception as error:  # Pillow raises many kinds: cut off, a decompression bomb
        reason = "of neither format" if isinstance(error, UnidentifiedImageError) else f"({error})"
        raise refusal(f"a {path.suffix} must be a whole PNG or JPEG", path, reason, "Save it again") from error
    if depth > 8 or frames > 1:
        what = f"of {depth} bits" if depth > 8 else f"with {frames} frames"
        raise refusal("a picture must have 8 bits a channel and one frame", path, what, "Convert it")
    if mode == "CMYK":
        raise refusal("a picture must be grey or RGB", path, "in CMYK, for print", "Convert it")
    if image.mode == "RGBA" and image.getchannel("A").getextrema() != (255, 255):
        raise refusal("a picture must be opaque", path, "with transparent pixels", "Give it a background")
    return image.convert("RGB")


def pixels(image: Image.Image, channels: int, size: int | None) -> np.ndarray:
    """(H, W, channels) uint8; H = W = size, unless that is None. channels: 1 is grey, 3 colour."""
    image = image.convert("L" if channels == 1 else "RGB")  # grey with three equal channels becomes that grey
    if size is not None:
        image = image.resize((size, size), RESAMPLING)
    return np.asarray(image).reshape(image.height, image.width, channels)


def refusal(rule: str, path: Path, received: str, remedy: str) -> PictureError:
    """That a file breaks a rule."""
    return PictureError(f"{rule}. Received: {path} {received}. {remedy}.")
