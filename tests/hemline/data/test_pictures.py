"""One function prepares what is trained on and what is asked about; the filter and the grey are as stated."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hemline.config.data import DataConfig
from hemline.data.dataset import load_split
from hemline.data.decoding import prepare
from hemline.data.image_files import read
from hemline.data.pictures import opened, pixels
from hemline.data.splitting import in_test, place
from hemline.data.tfds_examples import converted
from hemline.errors import PictureError

COLOURS = np.random.default_rng(0).integers(0, 256, (9, 14, 3), np.uint8)  # (H, W, C)


def write(path: Path, array: np.ndarray = COLOURS, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def test_a_new_size_is_the_mean_of_the_pixels_it_is_made_of() -> None:
    """Halving by the triangle filter: weights 1/8, 3/8, 3/8, 1/8, at the edge 3/7, 3/7, 1/7; each axis rounded."""
    row = np.array([0, 80, 160, 240, 160, 80, 0, 0], np.uint8)
    made = pixels(Image.fromarray(np.tile(row, (8, 1))), channels=1, size=4)
    expected = [
        (3 * 0 + 3 * 80 + 160) / 7,
        (80 + 3 * 160 + 3 * 240 + 160) / 8,
        (240 + 3 * 160 + 3 * 80 + 0) / 8,
        (80 + 3 * 0 + 3 * 0) / 7,
    ]
    np.testing.assert_allclose(made[0, :, 0], expected, atol=0.51)
    assert (made == made[0]).all()


def test_grey_is_the_stated_mean_of_colours() -> None:
    made = pixels(Image.fromarray(COLOURS), channels=1, size=None)
    np.testing.assert_allclose(made[..., 0], COLOURS @ [0.299, 0.587, 0.114], atol=0.51)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_fits_is_left_as_it_is(channels: int) -> None:
    array = COLOURS[:9, :9, :channels]
    made = pixels(Image.fromarray(array[..., 0] if channels == 1 else array), channels, size=9)
    np.testing.assert_array_equal(made, array)


def orientation(number: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = number
    return exif


def test_a_picture_is_turned_upright(tmp_path: Path) -> None:
    path = write(tmp_path / "turned.png", exif=orientation(6))  # the camera was held at its side
    np.testing.assert_array_equal(np.asarray(opened(path, path.read_bytes())), np.rot90(COLOURS, k=-1))


def test_what_is_for_print_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "print.jpg"
    Image.fromarray(COLOURS).convert("CMYK").save(path)
    with pytest.raises(PictureError, match=r"print\.jpg in CMYK"):
        opened(path, path.read_bytes())


def test_a_jpeg_is_read_as_a_jpeg_whatever_its_name(tmp_path: Path) -> None:
    path = write(tmp_path / "picture.jpg", quality=95)
    plain = np.asarray(Image.open(path))
    path.rename(tmp_path / "picture.png")
    for shown_as in ("picture.jpg", "picture.png"):
        np.testing.assert_array_equal(opened(Path(shown_as), (tmp_path / "picture.png").read_bytes()), plain)


def test_nothing_of_tensorflow_is_needed() -> None:
    code = "import sys, hemline.data.pictures, hemline.data.image_files; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# --- the same in training and in predicting


@pytest.mark.parametrize("fields", [{"image_size": 6}, {"image_size": 6, "grayscale": True}, {"grayscale": True}])
def test_predict_prepares_a_file_as_decoding_did(tmp_path: Path, fields: dict[str, Any]) -> None:
    rng, files = np.random.default_rng(1), []
    for name in ("cat", "dog"):
        for number in range(4):
            shape = (9, 14, 3) if "image_size" not in fields else (*rng.integers(4, 20, 2), 3)
            suffix = "png" if number % 2 else "jpg"
            for split in ("train", "test"):
                array = rng.integers(0, 256, shape, np.uint8)
                files.append(write(tmp_path / "pets" / split / name / f"{number}.{suffix}", array))
    config = DataConfig(dataset=f"folder:{tmp_path}/pets", data_dir=tmp_path, **fields)
    ref = prepare(config)
    decoded = {image.tobytes() for split in ref.splits for image in load_split(ref, split)[0]}
    asked = {array.tobytes() for array in read(files, ref.image_shape, config)}
    assert asked == decoded
    assert len(asked) == 16


def test_predict_scales_only_for_a_model_that_was_trained_so(tmp_path: Path) -> None:
    path = write(tmp_path / "large.png")
    with pytest.raises(PictureError, match="must be 6 x 6 of 3 channels"):
        read([path], (6, 6, 3), DataConfig())
    with pytest.raises(PictureError, match="in colour"):
        read([path], (6, 6, 1), DataConfig(image_size=6))
    assert read([path], (6, 6, 1), DataConfig(image_size=6, grayscale=True))[0].shape == (1, 6, 6, 1)


def test_a_picture_of_a_tfds_data_set_is_prepared_alike(tmp_path: Path) -> None:
    """What TFDS holds as an array, and the same as a file."""
    config = DataConfig(dataset="cifar10", image_size=5, grayscale=True)
    (decoded,) = converted(COLOURS[None], config, (5, 5, 1))
    ((asked,),) = read([write(tmp_path / "a.png")], (5, 5, 1), config)
    np.testing.assert_array_equal(decoded, asked)


# --- splitting


@given(st.binary(min_size=32, max_size=32), st.integers(0, 2**31 - 1), st.floats(0.001, 0.998))
def test_a_larger_share_only_adds(digest: bytes, seed: int, share: float) -> None:
    assert in_test(digest, seed, share) <= in_test(digest, seed, share + 0.001)
    assert in_test(digest, seed, share) == (place(digest, seed) < share * 2**64)


def test_a_share_is_that_share() -> None:
    digests = [number.to_bytes(32, "big") for number in range(10_000)]
    for seed in (0, 1):
        assert sum(in_test(digest, seed, 0.2) for digest in digests) == pytest.approx(2000, abs=160)  # 4 sigma


def test_the_rule_is_fixed_for_ever() -> None:
    """The first 64 bits of BLAKE2b of the digest, keyed by the seed in four bytes: another rule moves examples."""
    assert place(bytes(32), seed=0) == 6374635854159551133
    assert place(bytes(range(32)), seed=7) == 15522545024672674604
