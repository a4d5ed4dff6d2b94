"""What can go wrong with what a user brings, as classes with stable codes.

Every failure that a user can cause is a `FrontrunnerError`: its `code` never changes once published, and its
message says what was given, what was expected and what to do. Anything else that escapes is a defect of ours.
"""

from __future__ import annotations

# Characters of a message that rows, answers and logs hold; what was given may be a megabyte.
MAX_REASON_CHARACTERS = 2_000


class FrontrunnerError(Exception):
    """Base of every error caused by input. `code` is part of the public interface."""

    code: str = "error"

    @property
    def reason(self) -> str:
        """The message for people, in one line; the end of a very long one is left out."""
        message = str(self)
        return message if len(message) <= MAX_REASON_CHARACTERS else f"{message[: MAX_REASON_CHARACTERS - 3]}..."


class InvalidFeatures(FrontrunnerError):
    """Features, labels or targets whose shape, type or values cannot be scored."""

    code = "invalid_features"


class FeaturesNotFinite(InvalidFeatures):
    """NaN or infinity among the features, targets or probabilities."""

    code = "features_not_finite"


class NothingToSeparate(InvalidFeatures):
    """Fewer than two classes, or no example at all: every checkpoint would score alike."""

    code = "nothing_to_separate"


class IncompatibleStatistics(FrontrunnerError):
    """Two `FeatureStatistics` that do not describe the same kind of features and targets."""

    code = "incompatible_statistics"


class UnknownScore(FrontrunnerError):
    """A score name that the registry does not hold."""

    code = "unknown_score"


class ExtraMissing(FrontrunnerError):
    """A library that the work needs is not installed here; the reason names the extra of the package that brings it."""

    code = "extra_missing"


class InvalidScore(FrontrunnerError):
    """A score of one's own whose name has the wrong form, or is taken."""

    code = "score_invalid"


class InvalidBudget(FrontrunnerError):
    """A budget that is none of seconds, a share or a number of examples."""

    code = "budget_invalid"


class RankingUnfit(FrontrunnerError):
    """A ranking that cannot be extended: no ranking at all, or one of another dataset."""

    code = "ranking_unfit"


class InvalidDataset(FrontrunnerError):
    """A dataset on which nothing can be ranked."""

    code = "dataset_invalid"


class DatasetNotFound(InvalidDataset):
    """No file or folder is at the given path, or no dataset has the given id."""

    code = "dataset_not_found"


class UnsupportedDataset(InvalidDataset):
    """The bytes are none of: folder, zip, CSV, TSV, JSON, Excel, Parquet, npz."""

    code = "dataset_format_unsupported"


class AmbiguousDataset(InvalidDataset):
    """The dataset can be read in more ways than one; the message spells out the options that choose one."""

    code = "dataset_ambiguous"


class UnreadableDataset(InvalidDataset):
    """The container itself (zip, Parquet, npz...) is damaged or is not what its name says."""

    code = "dataset_unreadable"


class EmptyDataset(InvalidDataset):
    """No usable example was found."""

    code = "dataset_empty"


class UnlabelledDataset(InvalidDataset):
    """No label can be found for the examples."""

    code = "dataset_unlabelled"


class OneClassDataset(InvalidDataset):
    """All examples have the same label, so no checkpoint can be told from another."""

    code = "dataset_one_class"


class DatasetTooLarge(InvalidDataset):
    """More bytes, files or pixels than the limits allow."""

    code = "dataset_too_large"


class StorageFull(FrontrunnerError):
    """The disk of the service has no room for this; nothing of it was kept."""

    code = "storage_full"


class StoredFileMissing(FrontrunnerError):
    """Something that was stored is gone from the store."""

    code = "stored_file_missing"


class StoredFileDamaged(FrontrunnerError):
    """What the store holds is not what was put there: a checksum says so. It is never used."""

    code = "stored_file_damaged"


class StoreUnavailable(FrontrunnerError):
    """The store cannot be reached, or refuses; trying again later may help."""

    code = "store_unavailable"


class StoreMisconfigured(FrontrunnerError):
    """The settings name no store that can be used here."""

    code = "store_misconfigured"


class UnusablePath(FrontrunnerError):
    """A file or folder of this machine that cannot be read or written as it must be."""

    code = "path_unusable"


class SchemaUnknown(FrontrunnerError):
    """The database's schema is not one that this version knows."""

    code = "schema_unknown"


class DatabaseUnusable(FrontrunnerError):
    """The service's database is away, damaged, or refuses us: said by commands, which go on with nothing."""

    code = "database_unusable"


class OutOfMemory(FrontrunnerError):
    """The work needs more memory than this machine, or its GPU, has."""

    code = "out_of_memory"


class DiskFull(FrontrunnerError):
    """The work found no room for what it writes."""

    code = "disk_full"


class FileRefused(FrontrunnerError):
    """The system refuses a file: no right to it, a fault of the disk, too many open ones."""

    code = "file_refused"


class InternalError(FrontrunnerError):
    """A defect of ours; the log has its trace."""

    code = "internal_error"


class CheckpointError(FrontrunnerError):
    """A checkpoint that cannot be used. Fails its own step, never the ranking."""

    code = "checkpoint_unusable"


class CheckpointNotFound(CheckpointError):
    """No checkpoint has the given id in the configured hubs."""

    code = "checkpoint_not_found"


class CheckpointUnreadable(CheckpointError):
    """The configuration or the weights are damaged, missing, or do not fit each other."""

    code = "checkpoint_unreadable"


class UnsafeCheckpoint(CheckpointError):
    """Only pickled weights, or a configuration that asks to run code."""

    code = "checkpoint_unsafe"


class ModalityMismatch(CheckpointError):
    """The checkpoint reads another kind of input than the dataset holds."""

    code = "modality_mismatch"


class NoClassifier(CheckpointError):
    """The checkpoint has no head that tells classes apart."""

    code = "classifier_missing"


class DuplicateCheckpoint(CheckpointError):
    """Two hub folders offer a checkpoint under one name; the first is used."""

    code = "checkpoint_name_taken"


class UnknownVariant(CheckpointError):
    """No such layer, pooling or way to read the checkpoint."""

    code = "checkpoint_variant_unknown"


class ConstraintViolated(CheckpointError):
    """The checkpoint does not keep within the limits that a request sets."""

    code = "constraint_violated"


class CheckpointTooLarge(CheckpointError):
    """More bytes than this machine fetches; an administrator sets the limit."""

    code = "checkpoint_too_large"


class CheckpointChanged(CheckpointError):
    """What a hub sends, or a folder holds, is not what the description names. Nothing of it was opened."""

    code = "checkpoint_changed"


class HubError(CheckpointError):
    """The hub did not give what was asked for; trying again later may help."""

    code = "hub_unavailable"


class HubOffline(HubError):
    """This machine fetches nothing, and the checkpoint is not at hand."""

    code = "hub_offline"


class HubUnauthorized(HubError):
    """The checkpoint is private or gated, and the token is missing or not enough."""

    code = "hub_unauthorized"


class HubRateLimited(HubError):
    """The hub asks to wait longer than a step waits."""

    code = "hub_rate_limited"


class TransferBroken(HubError):
    """A file came incomplete, again and again."""

    code = "hub_transfer_broken"


class NothingRanked(FrontrunnerError):
    """No checkpoint could be scored. The message names the first reasons."""

    code = "nothing_ranked"


class NoCheckpoints(FrontrunnerError):
    """No hub is configured, or the hubs hold no checkpoint."""

    code = "no_checkpoints"


class ScoreNotApplicable(FrontrunnerError):
    """A score that this input does not admit: another task, no source probabilities, or no rows at hand."""

    code = "score_not_applicable"


class TuningError(FrontrunnerError):
    """A tuning that cannot be done as it was asked for."""

    code = "tuning_impossible"


class TeachersMissing(TuningError):
    """The method learns from other checkpoints, and none, or too few, are named."""

    code = "teachers_missing"


class ArchitecturesDiffer(TuningError):
    """Checkpoints that are to become one network are not of one architecture."""

    code = "architectures_differ"


class StudentUnsupported(TuningError):
    """The checkpoint can be ranked, and cannot be tuned in this way."""

    code = "student_unsupported"


class TooFewExamples(TuningError):
    """Too few training examples to tune on."""

    code = "too_few_examples"


class MethodUnsuited(TuningError):
    """The method is not for what the checkpoints read."""

    code = "method_unsuited"


class SourceUnfit(TuningError):
    """The method learns from a labelled source dataset, which is missing or has other classes than the target."""

    code = "source_unfit"


class MemoryLimitTooLow(TuningError):
    """Not even the smallest batch fits into the memory that the request allows."""

    code = "memory_limit_too_low"


class TuningDiverged(TuningError):
    """The loss became infinite or grew without end before any epoch was over."""

    code = "tuning_diverged"


def error_of(code: str, reason: str) -> FrontrunnerError:
    """The error that said `reason` under `code`, made again after it was written down or came from another process.

    Example:
        >>> error_of("nothing_to_separate", "one class").__class__.__name__
        'NothingToSeparate'
    """
    kinds = [FrontrunnerError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    error = next((kind for kind in kinds if kind.code == code), FrontrunnerError)(reason)
    error.code = code
    return error
