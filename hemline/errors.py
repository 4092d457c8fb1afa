"""Refusals: what Hemline raises when it will not go on.

    DatasetError("a data file must match its registered SHA-256. Received: ... Delete it ...")

Every message states the rule, the value received and the remedy. The command line prints it without a traceback; any
other exception is a bug and keeps its traceback.
"""

from typing import Any


class HemlineError(Exception):
    """A rule of the pipeline was broken by its input or surroundings."""


class ConfigurationError(HemlineError):
    """A field of the configuration, or a combination of fields, cannot work."""


class DatasetError(HemlineError):
    """Data is unknown, unsuitable or corrupt. Trying again will not help."""


class DatasetUnavailableError(DatasetError):
    """No source could be reached just now. Trying again may help."""


class DeviceError(HemlineError):
    """The device asked for is not there."""


class StorageError(HemlineError):
    """The artifacts directory cannot take what a run writes."""


class ProofError(HemlineError):
    """What training relies on does not hold on this machine. found: the whole Verification, if there was one."""

    def __init__(self, message: str, found: Any = None):
        super().__init__(message)
        self.found = found


class DivergenceError(HemlineError):
    """The training loss is not finite any more."""


class CheckpointError(HemlineError):
    """A checkpoint belongs to another run, or its run is still going."""


class AttemptError(HemlineError):
    """A run crashed again where it crashed before, or too often."""


class SupersededError(HemlineError):
    """Another process has taken over this one's run."""


class VersionError(HemlineError):
    """A version is not what its manifest says, or does not load. problem: why, in a few words without its name."""

    def __init__(self, message: str, problem: str):
        super().__init__(message)
        self.problem = problem


class RegistryError(HemlineError):
    """There is no such run or version, or the registry cannot be read or may not be written like this."""


class ChampionChangedError(RegistryError):
    """Another champion was made while this decision was being prepared. Compare again."""


class PictureError(HemlineError):
    """A file is not a picture that the model can be asked about."""
