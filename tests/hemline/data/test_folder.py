"""A folder of pictures: its layouts, its splits, what it refuses by name, and when it is decoded anew."""

import cProfile
import csv
import os
import pstats
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from hemline.config.data import DataConfig
from hemline.data import decoding, folder
from hemline.data.dataset import DatasetRef, load_split
from hemline.data.decoding import prepare
from hemline.data.folder import FolderExamples
from hemline.errors import DatasetError
from tests.hemline.data.albums import COLOURS, write_album, write_picture

RED = COLOURS["red"]


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Three classes of 12 pictures, in one directory each."""
    return write_album(tmp_path / "album", {"": 12})


@pytest.fixture
def halves(tmp_path: Path) -> Path:
    """The same with train and test."""
    return write_album(tmp_path / "halves", {"train": 4, "test": 2})


def config(path: Path, **fields: Any) -> DataConfig:
    return DataConfig(dataset=f"folder:{path}", data_dir=path.parent / "data", **fields)


def splits_of(ref: DatasetRef) -> dict[str, str]:
    """The split of each file, as the listing says."""
    with (ref.path / "files.csv").open(newline="") as stream:
        return {name: split for name, _, _, split, _ in csv.reader(stream)}


def refused(path: Path, **fields: Any) -> str:
    """The sentence with which a folder is refused before it is decoded, or while it is."""
    with pytest.raises(DatasetError) as caught:
        prepare(config(path, **fields))
    assert not [found for found in path.parent.glob("data/decoded/*") if not found.name.startswith(".")]
    message = str(caught.value)
    assert "Received: " in message
    assert message.endswith(".")
    return message


# --- layouts and splits


def test_train_and_test_are_taken_as_they_are(halves: Path) -> None:
    ref = prepare(config(halves))
    assert (ref.full_name, ref.image_shape, ref.class_names) == ("folder:halves", (5, 6, 3), sorted(COLOURS))
    assert {name: split.examples for name, split in ref.splits.items()} == {"train": 12, "test": 6}
    assert all(split == name.partition("/")[0] for name, split in splits_of(ref).items())
    images, labels = load_split(ref, "train")
    for image, label in zip(images, labels, strict=True):  # each picture has its own colour most of all
        brightest = int(image.mean(axis=(0, 1)).argmax())
        assert ref.class_names[label] == ["red", "green", "blue sky é"][brightest]


def test_pixels_are_the_files(halves: Path) -> None:
    images, _ = load_split(prepare(config(halves)), "train")
    stored = {np.asarray(Image.open(path)).tobytes() for path in halves.glob("train/*/*.png")}
    assert {image.tobytes() for image in images} == stored


@pytest.mark.parametrize("within", ["", "train"])
def test_a_share_becomes_the_test_split_where_there_is_none(tmp_path: Path, within: str) -> None:
    ref = prepare(config(write_album(tmp_path / "album", {within: 40})))
    sizes = {name: split.examples for name, split in ref.splits.items()}
    assert sum(sizes.values()) == 120
    assert 12 <= sizes["test"] <= 36  # 24 on average
    assert prepare(config(tmp_path / "album", test_share=0.5)).splits["test"].examples > sizes["test"]


def test_classes_are_mixed_so_that_the_end_of_train_can_validate(album: Path) -> None:
    _, labels = load_split(prepare(config(album)), "train")
    assert set(labels[-12:]) == {0, 1, 2}


@pytest.mark.parametrize("split_seed", [0, 7])
def test_the_files_of_a_split_are_named_in_the_order_of_its_arrays(album: Path, split_seed: int) -> None:
    (album / "red" / "0.png").rename(album / "red" / os.fsdecode(b"\xff.png"))
    (album / "red" / "none.png").write_text("no picture")
    ref = prepare(config(album, split_seed=split_seed, unreadable="skip"))
    named = 0
    for split in ref.splits:
        images, _ = load_split(ref, split)
        for name, image in zip(folder.names(ref, split, split_seed), images, strict=True):
            path = album / os.fsdecode(name.encode().replace(b"\\xff", b"\xff"))
            np.testing.assert_array_equal(np.asarray(Image.open(path)), image)
            named += 1
    assert named == 36


def test_no_example_moves_when_files_are_added_renamed_or_removed(album: Path) -> None:
    before = splits_of(prepare(config(album)))
    write_picture(album / "red" / "0 is first now.png", RED, seed=1000)
    (album / "green" / "3.png").rename(album / "green" / "renamed ☂.png")
    (album / "red" / "7.png").unlink()
    after = splits_of(prepare(config(album)))
    assert after.pop("red/0 is first now.png")
    assert after["green/renamed ☂.png"] == before["green/3.png"]
    common = set(before) & set(after)
    assert len(common) == 34
    assert {name: before[name] for name in common} == {name: after[name] for name in common}


def test_another_seed_is_another_split_and_a_larger_share_a_superset(tmp_path: Path) -> None:
    path = write_album(tmp_path / "album", {"": 40})

    def tested(**fields: Any) -> set[str]:
        return {name for name, split in splits_of(prepare(config(path, **fields))).items() if split == "test"}

    assert tested() != tested(split_seed=1)
    assert tested() < tested(test_share=0.4)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    path = write_album(tmp_path / "vehicles", {"": 12})
    (path / "red").rename(path / "train")
    assert prepare(config(path)).class_names == ["blue sky é", "green", "train"]


def test_the_fingerprint_is_of_what_is_in_the_folder_and_not_of_its_place(album: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "album"
    shutil.copytree(album, copy)
    one, other = prepare(config(album)), prepare(config(copy))
    assert one.fingerprint == other.fingerprint
    (copy / "red").rename(copy / "rot")
    assert prepare(config(copy)).fingerprint != one.fingerprint


def test_two_folders_of_one_name_are_not_taken_for_each_other(album: Path, tmp_path: Path) -> None:
    other = write_album(tmp_path / "other" / "album", {"": 13})
    one, two = config(album), DataConfig(dataset=f"folder:{other}", data_dir=tmp_path / "data")
    assert one.decoded_path.parent == two.decoded_path.parent
    assert prepare(one).fingerprint != prepare(two).fingerprint
    assert decoding.verified(one) is not None


def test_a_path_is_relative_to_the_root_and_may_begin_with_the_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HEMLINE_ROOT", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert DataConfig(dataset="folder:pets/cats").folder == tmp_path / "pets" / "cats"
    assert DataConfig(dataset="folder:~/pets").folder == tmp_path / "home" / "pets"
    assert DataConfig(dataset="folder:./x/../pets").data == DataConfig(dataset="folder:pets/").data
    assert DataConfig(dataset=f"folder:{'p' * 300}").short_name == "folder:" + 93 * "p"
    assert len(DataConfig(dataset=f"folder:{'é' * 300}").decoded_path.name.encode()) < 200


# --- sizes and modes


def test_images_of_different_sizes_are_scaled(album: Path) -> None:
    write_picture(album / "red" / "wide.png", RED, seed=99, size=(50, 9))
    ref = prepare(config(album, image_size=8, grayscale=True))
    assert ref.image_shape == (8, 8, 1)
    assert sum(split.examples for split in ref.splits.values()) == 37


def test_images_of_different_sizes_are_refused_without_image_size(album: Path) -> None:
    write_picture(album / "red" / "wide.png", RED, seed=99, size=(50, 9))
    message = refused(album)
    assert "wide.png of 50 x 9, others of 6 x 5" in message
    assert "Set image_size" in message


# --- unreadable files


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("no picture")


def deep(path: Path) -> None:
    Image.fromarray(np.zeros((5, 6), np.uint16)).save(path)


def transparent(path: Path) -> None:
    Image.new("RGBA", (6, 5)).save(path)


@pytest.mark.parametrize("damage", [cut_off, empty, text, deep, transparent])
def test_an_unreadable_file_is_named_or_left_out_and_counted(
    album: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    path = album / "green" / "5.png"
    damage(path)
    message = refused(album)
    assert str(path) in message
    assert "set unreadable to 'skip'" in message
    ref = prepare(config(album, unreadable="skip"))
    assert ref.left_out == ref.record()["left_out"] == 1
    assert sum(split.examples for split in ref.splits.values()) == 35
    assert splits_of(ref)["green/5.png"] == "left out"
    assert str(path) in caplog.text


def test_a_file_that_is_no_picture_by_its_name_is_refused_before_any_is_read(
    album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (album / "green" / "notes.txt").write_text("a tree")
    (album / "README.md").write_text("beside the classes is nothing's business")
    with monkeypatch.context() as patch:
        patch.setattr(folder, "opened", lambda path, content: pytest.fail("read"))
        assert f"{album}/green/notes.txt which is no PNG or JPEG by its name" in refused(album)
    assert prepare(config(album, unreadable="skip")).left_out == 1


def test_what_is_left_out_does_not_count_for_its_class(halves: Path) -> None:
    for path in (halves / "test" / "green").iterdir():
        text(path)
    message = refused(halves, unreadable="skip")
    assert "every class must have examples in the split test" in message
    assert "green there" in message


def test_hidden_files_are_nothing(album: Path) -> None:
    (album / ".git").mkdir()
    (album / "red" / ".DS_Store").write_bytes(b"\0")
    assert prepare(config(album)).left_out == 0


def test_a_jpeg_and_capital_letters_are_taken(album: Path) -> None:
    with Image.open(album / "red" / "0.png") as image:
        image.save(album / "red" / "A.JPG", format="JPEG")
    (album / "red" / "1.png").rename(album / "red" / "ONE.PNG")
    assert sum(split.examples for split in prepare(config(album)).splits.values()) == 37


# --- folders that change


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[DataConfig]:
    """Each decoding that is done."""
    done: list[DataConfig] = []
    decode = decoding.decode

    def counted(config: DataConfig) -> DatasetRef:
        done.append(config)
        return decode(config)

    monkeypatch.setattr(decoding, "decode", counted)
    return done


def test_an_unchanged_folder_is_decoded_once(album: Path, decodings: list[DataConfig]) -> None:
    assert prepare(config(album)) == prepare(config(album))
    assert len(decodings) == 1


def added(album: Path) -> None:
    write_picture(album / "red" / "new.png", RED, seed=77)


def removed(album: Path) -> None:
    (album / "red" / "3.png").unlink()


def moved_to_another_class(album: Path) -> None:
    (album / "red" / "3.png").rename(album / "green" / "from red.png")


def painted_over(album: Path) -> None:
    write_picture(album / "red" / "3.png", COLOURS["green"], seed=78)


@pytest.mark.parametrize("change", [added, removed, moved_to_another_class, painted_over])
def test_a_changed_folder_is_decoded_anew(
    album: Path, change: Callable[[Path], None], decodings: list[DataConfig]
) -> None:
    """Regression: decoded arrays were taken whenever they were whole, whatever their source had become."""
    before = prepare(config(album))
    change(album)
    assert decoding.verified(config(album)) is None
    assert prepare(config(album)).fingerprint != before.fingerprint
    assert len(decodings) == 2


def test_a_time_alone_that_changes_is_decoded_to_the_same_fingerprint(album: Path, decodings: list[DataConfig]) -> None:
    before = prepare(config(album))
    os.utime(album / "red" / "3.png", ns=(0, 0))
    assert prepare(config(album)).fingerprint == before.fingerprint
    assert len(decodings) == 2


@pytest.mark.parametrize("damage", ["", "red/0.png,1,2,train,00\n", None])
def test_a_listing_that_is_damaged_or_gone_is_made_anew(
    album: Path, damage: str | None, decodings: list[DataConfig]
) -> None:
    listing = prepare(config(album)).path / "files.csv"
    listing.unlink() if damage is None else listing.write_text(damage)
    assert prepare(config(album)).listing
    assert len(decodings) == 2


@pytest.mark.parametrize("change", [cut_off, Path.unlink, lambda path: os.utime(path, ns=(0, 0))])
def test_a_file_that_changes_while_it_is_read_is_named(
    album: Path, change: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when pictures are still being copied: between its digest and its pixels."""
    prepared = FolderExamples.prepare

    def slowly(self: FolderExamples) -> None:
        prepared(self)
        change(album / "red" / "3.png")

    monkeypatch.setattr(FolderExamples, "prepare", slowly)
    message = refused(album, unreadable="skip")
    assert message.startswith(f"a file must stay as it is while it is read. Received: {album}/red/3.png, which changed")


# --- folders that cannot be


def one_class(album: Path) -> None:
    for name in ("red", "green"):
        shutil.rmtree(album / name)


def empty_class(album: Path) -> None:
    (album / "yellow").mkdir()


def only_hidden(album: Path) -> None:
    (album / "yellow").mkdir()
    (album / "yellow" / ".keep").write_bytes(b"")


def no_classes(album: Path) -> None:
    for name in COLOURS:
        shutil.rmtree(album / name)


def picture_without_class(album: Path) -> None:
    write_picture(album / "0.png", RED, 1)


def directory_in_a_class(album: Path) -> None:
    (album / "red" / "more").mkdir()


def link_out(album: Path) -> None:
    outside = album.parent / "secret.png"
    write_picture(outside, RED, 1)
    (album / "red" / "link.png").symlink_to(outside)


def class_linked_out(album: Path) -> None:
    (album.parent / "secrets").mkdir()
    (album / "yellow").symlink_to(album.parent / "secrets")


def broken_link(album: Path) -> None:
    (album / "red" / "link.png").symlink_to(album / "red" / "nowhere.png")


def pipe(album: Path) -> None:
    os.mkfifo(album / "red" / "pipe.png")


def single_picture(album: Path) -> None:
    write_picture(album / "yellow" / "0.png", RED, 1)


FLAT: list[tuple[Callable[[Path], None], str]] = [
    (one_class, "there must be two classes or more, each a directory of its own. Received: {} with blue sky é."),
    (no_classes, "there must be two classes or more, each a directory of its own. Received: {} with none."),
    (empty_class, "every class must have examples in the split train. Received: {} without any of yellow there."),
    (only_hidden, "every class must have examples in the split train. Received: {} without any of yellow there."),
    (single_picture, "every class must have examples in the split t"),
    (picture_without_class, "a picture must lie in the directory of its class. Received: {}/0.png."),
    (directory_in_a_class, "a class must hold files alone. Received: {}/red/more, which is none."),
    (pipe, "a class must hold files alone. Received: {}/red/pipe.png, which is none."),
    (broken_link, "a class must hold files alone. Received: {}/red/link.png, which is none."),
    (link_out, "a link must lead to a place in the folder. Received: {}/red/link.png, which leads to "),
    (class_linked_out, "a link must lead to a place in the folder. Received: {}/yellow, which leads to "),
    (shutil.rmtree, "a folder must be a directory. Received: {}, which is not there."),
]


@pytest.mark.parametrize(("change", "sentence"), FLAT, ids=lambda value: getattr(value, "__name__", ""))
def test_a_folder_that_cannot_be_is_refused_in_a_sentence(
    album: Path, change: Callable[[Path], None], sentence: str
) -> None:
    change(album)
    assert refused(album, unreadable="skip").startswith(sentence.format(album))


def test_a_file_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "album").write_text("no folder")
    assert refused(tmp_path / "album").startswith(
        f"a folder must be a directory. Received: {tmp_path}/album, which is a file."
    )


def only_in_test(halves: Path) -> None:
    shutil.rmtree(halves / "train" / "green")


def only_in_train(halves: Path) -> None:
    shutil.rmtree(halves / "test" / "green")


def third_split(halves: Path) -> None:
    (halves / "val").mkdir()


def no_train(halves: Path) -> None:
    shutil.rmtree(halves / "train")


def nothing_in_test(halves: Path) -> None:
    for path in (halves / "test" / "green").iterdir():
        path.unlink()


SPLIT: list[tuple[Callable[[Path], None], str]] = [
    (only_in_test, "train and test must have the same classes. Received: {} with green in test alone."),
    (only_in_train, "train and test must have the same classes. Received: {} with green in train alone."),
    (nothing_in_test, "every class must have examples in the split test. Received: {} without any of green there."),
    (third_split, "beside train and test there must be no other directory. Received: {} with val."),
    (no_train, "a folder with test must have train. Received: {} with test alone."),
]


@pytest.mark.parametrize(("change", "sentence"), SPLIT, ids=lambda value: getattr(value, "__name__", ""))
def test_splits_that_cannot_be_are_refused_in_a_sentence(
    halves: Path, change: Callable[[Path], None], sentence: str
) -> None:
    change(halves)
    assert refused(halves).startswith(sentence.format(halves))


def test_a_share_of_a_folder_with_a_test_split_is_refused(halves: Path) -> None:
    assert refused(halves, test_share=0.3).startswith("test_share must be for data without a test split.")


def test_a_link_within_the_folder_is_followed(album: Path) -> None:
    (album / "red" / "same.png").symlink_to(album / "red" / "0.png")
    ref = prepare(config(album))
    assert sum(split.examples for split in ref.splits.values()) == 37
    assert splits_of(ref)["red/same.png"] == splits_of(ref)["red/0.png"]  # equal content is in one split


def test_a_class_whose_name_is_no_text_is_refused(album: Path) -> None:
    Path(os.fsdecode(os.fsencode(album) + b"/caf\xe9")).mkdir()
    assert refused(album).startswith("the name of a class must be text in UTF-8. Received: 'caf\\udce9' in ")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"dataset": "folder:"}, "a folder must have a path"),
        ({"dataset": "folder:pets", "image_key": "x"}, "image_key must be given for a TFDS data set alone"),
        ({"dataset": "mnist", "unreadable": "skip"}, "unreadable must be given for a folder alone"),
    ],
)
def test_a_field_of_the_other_kind_is_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        DataConfig(**fields)


# --- many


def with_classes(path: Path, number: int) -> Path:
    """A class is a link to one directory in the folder, in train and in test: quick to make and to remove."""
    write_picture(path / ".one" / "a.png", RED, 1)
    for split in ("train", "test"):
        (path / split).mkdir()
        for label in range(number):
            (path / split / f"{label:05d}").symlink_to("../.one")
    return path


def test_twice_the_classes_are_twice_the_work(tmp_path: Path) -> None:
    """In calls of functions, which do not depend on the machine's speed."""

    def calls(number: int) -> int:
        path, profile = with_classes(tmp_path / f"{number}", number), cProfile.Profile()
        profile.runcall(lambda: FolderExamples(config(path)).prepare())
        return sum(row[1] for row in pstats.Stats(profile).stats.values())  # type: ignore[attr-defined]

    one, other = calls(100), calls(200)
    assert other < 2.1 * one


@pytest.mark.slow
def test_ten_thousand_classes_work(tmp_path: Path) -> None:
    """7 s of a processor for the listing, the digests and the pictures."""
    examples = FolderExamples(config(with_classes(tmp_path / "many", 10_000)))
    assert len(examples.class_names) == 10_000
    examples.prepare()
    assert sorted(int(labels[0]) for _, labels in examples.batches("test")) == list(range(10_000))


def test_what_changed_is_set_aside_and_stays_loadable(album: Path) -> None:
    """Whoever refers to it, a version or a run that is under way, goes on with it."""
    before = prepare(config(album))
    images, labels = load_split(before, "train")
    added(album)
    after = prepare(config(album))
    assert after.path == before.path
    assert before.aside.is_dir()
    for got, expected in zip(load_split(before, "train"), (images, labels), strict=True):
        np.testing.assert_array_equal(got, expected)
    assert sum(split.examples for split in after.splits.values()) == 37
    (album / "red" / "new.png").unlink()  # back to what it was, and again
    assert prepare(config(album)).fingerprint == before.fingerprint
    added(album)
    prepare(config(album))
    assert sorted(path.name for path in before.path.parent.iterdir() if "@" in path.name) == sorted(
        {before.aside.name, after.aside.name}
    )


def test_what_is_the_same_is_not_set_aside(album: Path) -> None:
    before = prepare(config(album))
    os.utime(album / "red" / "3.png", ns=(0, 0))
    prepare(config(album))
    assert not before.aside.exists()
