"""The examples: where they come from, decoded once, verified whenever they are loaded.

    ref = prepare(config.data)                          # hemline.data.decoding
    images, labels = load_split(ref, "train")           # hemline.data.dataset
    send(ref, artifacts)                                # hemline.data.snapshots
    read([Path("shirt.png")], shape=(28, 28, 1))        # hemline.data.image_files
    pixels(opened(path, content), channels=3, size=32)  # hemline.data.pictures

Others import anything of it. A source of files is a function and a row of `SOURCES`: CONTRIBUTING.md, "Add a data
source".
"""
