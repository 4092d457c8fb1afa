"""Tables and pictures that several tests look at."""

import xml.etree.ElementTree as ET

import pandas as pd

SVG = "{http://www.w3.org/2000/svg}"
EPOCHS = pd.DataFrame(
    {
        "epoch": [1, 2],
        "train_loss": [1.0, 0.5],
        "val_loss": [1.1, 0.6],
        "train_accuracy": [0.5, 0.7],
        "val_accuracy": [0.4, 0.6],
    }
)


def texts(svg: str) -> set[str]:
    """What is written in a picture."""
    found = [text.strip() for element in ET.fromstring(svg).iter(f"{SVG}text") for text in element.itertext()]
    return set(filter(None, found))
