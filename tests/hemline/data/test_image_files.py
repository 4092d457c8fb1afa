"""A picture is taken exactly as it is, or refused by name: a model would answer for a distorted one as surely."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hemline.data.image_files import read
from hemline.errors import PictureError

SHAPE = (2, 3, 1)  # H, W, C: not square, so that a swap shows
GREY = np.array([[0, 50, 100], [150, 200, 255]], np.uint8)  # (H, W)
COLOUR = np.stack([GREY, GREY, 255 - GREY], axis=-1)  # (H, W, 3)
BLACK_AND_WHITE = np.where(GREY > 100, 255, 0).astype(np.uint8)
Write = Callable[..., Path]


@pytest.fixture
def png(tmp_path: Path) -> Write:
    def write(image: Image.Image, name: str = "picture.png", **options: Any) -> Path:
        image.save(tmp_path / name, **options)
        return tmp_path / name

    return write


@pytest.fixture
def npy(tmp_path: Path) -> Write:
    def write(array: np.ndarray, name: str = "array.npy") -> Path:
        np.save(tmp_path / name, array)
        return tmp_path / name

    return write


def refused(path: Path, shape: tuple[int, int, int] = SHAPE) -> str:
    with pytest.raises(PictureError) as caught:
        read([path], shape)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA", "LA"])
def test_grey_is_grey_however_it_is_stored(png: Write, mode: str) -> None:
    (images,) = read([png(Image.fromarray(GREY).convert(mode))], SHAPE)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, GREY[None, ..., None])


def test_black_and_white_is_0_and_255(png: Write) -> None:
    (images,) = read([png(Image.fromarray(BLACK_AND_WHITE).convert("1"))], SHAPE)
    np.testing.assert_array_equal(images[0, ..., 0], BLACK_AND_WHITE)


def test_colour_is_kept_where_the_model_takes_it(png: Write) -> None:
    (images,) = read([png(Image.fromarray(COLOUR))], (2, 3, 3))
    np.testing.assert_array_equal(images, COLOUR[None])


def test_grey_has_three_equal_channels_where_the_model_takes_colour(png: Write) -> None:
    (images,) = read([png(Image.fromarray(GREY))], (2, 3, 3))
    np.testing.assert_array_equal(images, np.stack([GREY] * 3, axis=-1)[None])


def test_colour_is_refused_where_the_model_takes_grey(png: Write) -> None:
    assert "must be 3 x 2 greyscale" in refused(png(Image.fromarray(COLOUR)))


def test_another_size_is_refused_and_not_scaled(png: Write) -> None:
    message = refused(png(Image.fromarray(GREY.T.copy())))
    assert "a picture must be 3 x 2 greyscale, an array (N, 2, 3, 1). Received" in message
    assert "of 2 x 3" in message


def test_transparency_is_refused(png: Write) -> None:
    image = Image.fromarray(GREY).convert("RGBA")
    image.putpixel((0, 0), (0, 0, 0, 254))
    assert "opaque" in refused(png(image))


def test_a_transparent_colour_is_refused(png: Write) -> None:
    assert "opaque" in refused(png(Image.fromarray(GREY), transparency=50))


def test_16_bits_of_grey_are_refused(png: Write) -> None:
    assert "16 bits" in refused(png(Image.fromarray(GREY.astype(np.uint16) * 257)))


def test_16_bits_of_colour_are_refused(tmp_path: Path) -> None:
    """Pillow reads them as 8 and writes none, so the file is made by hand."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in COLOUR)
    header = struct.pack(">IIBBBBB", 3, 2, 16, 2, 0, 0, 0)
    path = tmp_path / "deep.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )
    with Image.open(path) as image:
        assert image.mode == "RGB"
    assert "16 bits" in refused(path, (2, 3, 3))


def test_an_animation_is_refused(png: Write) -> None:
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    assert "2 frames" in refused(png(frames[0], save_all=True, append_images=frames[1:]))


def test_a_text_file_named_png_is_refused(tmp_path: Path) -> None:
    (tmp_path / "note.png").write_text("a shirt")
    assert "must be a whole PNG" in refused(tmp_path / "note.png")


def test_another_format_named_png_is_refused(png: Write, tmp_path: Path) -> None:
    png(Image.fromarray(GREY), "picture.bmp").rename(tmp_path / "picture.png")
    assert "must be a whole PNG" in refused(tmp_path / "picture.png")


@pytest.mark.parametrize("size", [0, 20, 45])
def test_a_png_that_is_cut_off_is_refused(png: Write, size: int) -> None:
    path = png(Image.fromarray(GREY))
    path.write_bytes(path.read_bytes()[:size])
    assert "must be a whole PNG" in refused(path)


def test_a_huge_png_is_refused_before_it_is_decoded(png: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = png(Image.fromarray(GREY))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)  # Pillow warns above it and refuses above twice of it
    assert "must be a whole PNG" in refused(path)


def test_channels_that_no_png_has_are_refused(png: Write) -> None:
    assert "2 channels must be an NPY" in refused(png(Image.fromarray(GREY)), (2, 3, 2))


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1), (1, 2, 3, 1)])
def test_an_array_is_one_picture(npy: Write, shape: tuple[int, ...]) -> None:
    (images,) = read([npy(GREY.reshape(shape))], SHAPE)
    np.testing.assert_array_equal(images, GREY[None, ..., None])


def test_an_array_is_several_pictures(npy: Write) -> None:
    stack = np.stack([GREY, 255 - GREY])[..., None]  # (N, H, W, C)
    (images,) = read([npy(np.asfortranarray(stack))], SHAPE)
    np.testing.assert_array_equal(images, stack)


@pytest.mark.parametrize("shape", [(6,), (3, 2), (2, 3, 3), (2, 2, 3), (0, 2, 3, 1), (1, 1, 2, 3, 1)])
def test_an_array_of_another_shape_is_refused(npy: Write, shape: tuple[int, ...]) -> None:
    assert f"of shape {shape}" in refused(npy(np.zeros(shape, np.uint8)))


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "int8"])
def test_an_array_of_another_dtype_is_refused(npy: Write, dtype: str) -> None:
    assert f"of {dtype}" in refused(npy(GREY.astype(dtype)))


def test_objects_are_refused_and_not_unpickled(npy: Write, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    assert "must be a whole array of numbers" in refused(npy(np.array([Trap()], object)))
    assert not (tmp_path / "sprung").exists()


def test_a_promise_of_more_than_there_is_is_refused(npy: Write) -> None:
    path = npy(GREY)
    path.write_bytes(path.read_bytes().replace(b"(2, 3), }" + 9 * b" ", b"(2, 30000000), }  "))
    assert "must be a whole array" in refused(path)


def test_an_archive_named_npy_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", a=GREY, b=GREY)
    (tmp_path / "two.npz").rename(tmp_path / "two.npy")
    assert "an archive of several" in refused(tmp_path / "two.npy")


@pytest.mark.parametrize("name", ["missing.png", "missing.npy"])
def test_a_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    assert "No such file" in refused(tmp_path / name)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pictures.png").mkdir()
    assert "directory" in refused(tmp_path / "pictures.png")


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    assert "must be a PNG or NPY" in refused(tmp_path / "shirt.bmp")


def test_every_refused_file_has_its_line(png: Write, tmp_path: Path) -> None:
    good = png(Image.fromarray(GREY), "GOOD.PNG")
    with pytest.raises(PictureError) as caught:
        read([tmp_path / "a.png", good, tmp_path / "b.npy"], SHAPE)
    a, b = str(caught.value).splitlines()
    assert (str(tmp_path / "a.png") in a, str(tmp_path / "b.npy") in b) == (True, True)
