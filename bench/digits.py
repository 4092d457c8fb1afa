"""Scikit-learn's handwritten digits as a folder of pictures, which Hemline trains on as on anyone's.

    python -m bench.digits      # writes data/digits/{train,test}/{0 ... 9}/*.png, 8 x 8 pixels of 17 shades of grey
    hemline retrain --dataset folder:data/digits --image-size 28 --grayscale true --validation 100

The first 898 are the train split and the other 899 the test split, as in scikit-learn's own example, whose support
vector machine has 0.9689 of these right.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from hemline.config.data import DataConfig
from hemline.storage.files import whole_directory

SIZE = 28  # pixels of a side to which Hemline scales them, as Fashion-MNIST's
TRAIN = 898


def written(directory: Path) -> Path:
    """The directory with the pictures, written now if it is not there."""
    if directory.exists():
        return directory
    images, labels = load_digits(return_X_y=True)
    shades = np.rint(images.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)  # (N, H, W), of 0 to 16
    with whole_directory(directory) as temporary:
        for number, (shade, label) in enumerate(zip(shades, labels, strict=True)):
            path = temporary / ("train" if number < TRAIN else "test") / str(label) / f"{number:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(shade).save(path)
    return directory


def digits() -> DataConfig:
    """What to prepare."""
    directory = written(DataConfig().data_path / "digits")
    return DataConfig(dataset=f"folder:{directory}", image_size=SIZE, grayscale=True)


if __name__ == "__main__":
    print(digits().folder)
