"""A sentence encoder in sentence-transformers' form, as data: what follows its transformer, and how texts reach it.

`modules.json` lists the steps of the pipeline, each with a folder of its own. What is read here is what `encode()` of
that library would do; a pipeline that does more than is understood here is refused with the step's name, never cut
short. Configurations of all versions of the library are understood: what was renamed is listed beside its old name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from frontrunner.errors import CheckpointUnreadable, UnsafeCheckpoint

MODULES_FILE = "modules.json"
PROMPTS_FILE = "config_sentence_transformers.json"
POOLING_FOLDER = "1_Pooling"
# How the transformer's own step was and is configured; the first that exists counts.
TRANSFORMER_FILES = (
    "sentence_bert_config.json",
    *(f"sentence_{kind}_config.json" for kind in ("roberta", "distilbert", "camembert", "albert", "xlm-roberta")),
    "sentence_xlnet_config.json",
)
STEP_CONFIG = "config.json"
STEP_WEIGHTS = "model.safetensors"
STEP_PICKLE = "pytorch_model.bin"
MAX_STEPS = 20

# Names of poolings: the library's, before and after its version 6, and ours.
POOLINGS = {
    "cls": "cls",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len_tokens": "mean_sqrt_len",
    "weightedmean": "weighted_mean",
    "lasttoken": "last",
}
_FORMER_POOLINGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len",
    "pooling_mode_weightedmean_tokens": "weighted_mean",
    "pooling_mode_lasttoken": "last",
}
_EMBEDDING = "sentence_embedding"
_TRANSFORMER, _STATIC, _POOLING = "Transformer", "StaticEmbedding", "Pooling"
# Steps after pooling that hold weights, and those that hold none.
_WEIGHTED = ("Dense", "LayerNorm")
_PLAIN = ("Normalize", "Dropout")
# Entries of the transformer's configuration that leave the numbers as they are.
_HARMLESS_ARGUMENTS = frozenset(
    {"attn_implementation", "dtype", "torch_dtype", "padding_side", "use_fast", "add_pooling_layer", "use_safetensors"}
)

ReadFile: TypeAlias = Callable[[str], bytes | None]


@dataclass(frozen=True)
class PipelineStep:
    """A step after the transformer.

    Attributes:
        kind: `Dense`, `LayerNorm` or `Normalize`.
        folder: where its files lie, below the checkpoint's.
        config: its configuration.
    """

    kind: str
    folder: str
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SentenceEncoder:
    """What sentence-transformers' files say of a checkpoint; of one without them, nothing.

    Attributes:
        folder: where the transformer, or the table of a static embedding, lies below the checkpoint's folder.
        static: it is a table of token embeddings, and no transformer.
        poolings: how hidden states become one row, joined if several; empty where nothing is said.
        pools_prompt: whether the prompt's tokens count in pooling.
        pooling_folder: where the pooling is configured.
        steps: what follows, in order.
        dimensions: how many features are kept of a row, the first ones; all where None.
        prompt: what is put before every text.
        max_tokens: tokens that are read of a text, where said.
        lower_case: texts are lower-cased first.
        truncation_side: which end of a long text is cut off, where said.
    """

    folder: str = ""
    static: bool = False
    poolings: tuple[str, ...] = ()
    pools_prompt: bool = True
    pooling_folder: str = POOLING_FOLDER
    steps: tuple[PipelineStep, ...] = ()
    dimensions: int | None = None
    prompt: str = ""
    max_tokens: int | None = None
    lower_case: bool = False
    truncation_side: str | None = None

    @property
    def weighted_steps(self) -> tuple[PipelineStep, ...]:
        """The steps that hold weights."""
        return tuple(step for step in self.steps if step.kind in _WEIGHTED)

    def inside(self, name: str) -> str:
        """A file of the transformer's folder, by its name below the checkpoint's."""
        return _file(self.folder, name)

    @property
    def normalised(self) -> bool:
        """Whether its rows end at length 1."""
        return bool(self.steps) and self.steps[-1].kind == "Normalize" and self.dimensions is None


def read_sentence_encoder(read: ReadFile, name: str) -> SentenceEncoder:
    """What the sentence-transformers' files of a checkpoint say.

    Args:
        read: gives a file of the checkpoint by its name, or None.
        name: the checkpoint's, for messages.

    Raises:
        CheckpointUnreadable: a file is damaged, or the pipeline has a step that is not understood.
        UnsafeCheckpoint: a step is code of the checkpoint's own, or its folder leads elsewhere.
    """
    modules = _json(read, MODULES_FILE, name)
    pooling = _mapping(_json(read, f"{POOLING_FOLDER}/{STEP_CONFIG}", name))
    if modules is None:
        own = _transformer_settings(read, "", name)
        return SentenceEncoder(poolings=_poolings(pooling, name) if pooling else (), **own)
    if not isinstance(modules, list) or not 0 < len(modules) <= MAX_STEPS:
        raise CheckpointUnreadable(f"{name}: {MODULES_FILE} must list 1 to {MAX_STEPS} steps")
    entries = [_step(entry, name) for entry in modules]
    unnamed = entries[0].kind in (_POOLING, *_WEIGHTED, *_PLAIN)  # the transformer beside the list is meant
    first, *rest = [PipelineStep(_TRANSFORMER, ""), *entries] if unnamed else entries
    if first.kind not in (_TRANSFORMER, _STATIC):
        raise _not_understood(name, first.kind)
    pools: dict[str, Any] = {}
    pooling_folder = POOLING_FOLDER
    if rest and rest[0].kind == _POOLING:
        pooling_folder, rest = rest[0].folder or POOLING_FOLDER, rest[1:]
        pools = _mapping(_json(read, _file(pooling_folder, STEP_CONFIG), name))
    elif first.kind == _TRANSFORMER and not unnamed:
        raise CheckpointUnreadable(f"{name}: in {MODULES_FILE} no pooling follows the transformer")
    settings = _transformer_settings(read, first.folder, name) if first.kind == _TRANSFORMER else {}
    whole = _mapping(_json(read, PROMPTS_FILE, name))
    kept = whole.get("truncate_dim")
    return SentenceEncoder(
        folder=first.folder,
        static=first.kind == _STATIC,
        poolings=_poolings(pools, name) if first.kind == _TRANSFORMER else (),
        pools_prompt=pools.get("include_prompt") is not False,
        pooling_folder=pooling_folder,
        steps=_steps_after_pooling(rest, read, name),
        dimensions=kept if isinstance(kept, int) and kept > 0 else None,
        prompt=_default_prompt(whole, name),
        **settings,
    )


def _step(entry: object, name: str) -> PipelineStep:
    stated = _mapping(entry)
    kind, folder = str(stated.get("type", "")), str(stated.get("path") or "")
    if not kind.startswith("sentence_transformers."):
        raise UnsafeCheckpoint(f"{name}: {MODULES_FILE} names the step '{kind[:100]}', code that is not the library's")
    path = PurePosixPath(folder)
    if path.is_absolute() or ".." in path.parts or "\\" in folder or ":" in folder:
        raise UnsafeCheckpoint(f"{name}: {MODULES_FILE} names the folder '{folder[:100]}', which is not below its own")
    return PipelineStep(kind.rpartition(".")[2], "" if folder == "." else folder.rstrip("/"))


def _steps_after_pooling(entries: list[PipelineStep], read: ReadFile, name: str) -> tuple[PipelineStep, ...]:
    steps = []
    for entry in entries:
        if entry.kind not in (*_WEIGHTED, *_PLAIN):
            raise _not_understood(name, entry.kind)
        config = _mapping(_json(read, _file(entry.folder, STEP_CONFIG), name)) if entry.folder else {}
        taken = config.get("module_input_name") or _EMBEDDING
        given = config.get("module_output_name") or taken
        if taken != _EMBEDDING:
            raise CheckpointUnreadable(f"{name}: its {entry.kind} step reads '{taken}' and not the pooled text")
        if given == _EMBEDDING and entry.kind != "Dropout":  # others, as a classifier's, leave the features alone
            steps.append(PipelineStep(entry.kind, entry.folder, config))
    return tuple(steps)


def _poolings(config: Mapping[str, Any], name: str) -> tuple[str, ...]:
    stated = config.get("pooling_mode")
    if stated is None:
        return tuple(ours for key, ours in _FORMER_POOLINGS.items() if config.get(key)) or ("mean",)
    modes = stated if isinstance(stated, list) else [stated]
    unknown = [str(mode)[:50] for mode in modes if not isinstance(mode, str) or mode not in POOLINGS]
    if unknown or not modes:
        raise CheckpointUnreadable(f"{name}: pooling '{', '.join(unknown)}' is none of {', '.join(POOLINGS)}")
    return tuple(POOLINGS[mode] for mode in modes)


def _transformer_settings(read: ReadFile, folder: str, name: str) -> dict[str, Any]:
    """Keyword arguments of `SentenceEncoder` from the transformer's own step."""
    found = (_json(read, _file(folder, file), name) for file in TRANSFORMER_FILES)
    config = _mapping(next((stated for stated in found if stated is not None), None))
    _refuse_other_ways_in(config, name)
    arguments = _mapping(config.get("processor_kwargs") or config.get("tokenizer_args"))
    text = _mapping(_mapping(config.get("processing_kwargs")).get("text"))
    limits = (text.get("max_length"), arguments.get("model_max_length"), config.get("max_seq_length"))
    side = arguments.get("truncation_side")
    return {
        "max_tokens": next((limit for limit in limits if isinstance(limit, int) and limit > 0), None),
        "lower_case": config.get("do_lower_case") is True,
        "truncation_side": side if side in ("left", "right") else None,
    }


def _refuse_other_ways_in(config: Mapping[str, Any], name: str) -> None:
    """Whatever would make `encode()` differ from hidden states of plainly tokenized texts."""
    task = config.get("transformer_task", "feature-extraction")
    if task != "feature-extraction":
        raise CheckpointUnreadable(f"{name}: its transformer is set up for {task}, and not to give features")
    ways = config.get("modality_config")
    if isinstance(ways, dict):
        if "message" in ways:
            raise CheckpointUnreadable(f"{name}: its texts pass through a chat template, which is not applied here")
        plain = {"method": "forward", "method_output_name": "last_hidden_state"}
        if ways.get("text") != plain:
            raise CheckpointUnreadable(f"{name}: it reads texts by {ways.get('text')}, and not by its hidden states")
    if config.get("query_expansion"):
        raise CheckpointUnreadable(f"{name}: its query expansion is not applied here")
    for group, allowed in (
        ("processor_kwargs", {"model_max_length", "truncation_side"}),
        ("tokenizer_args", {"model_max_length", "truncation_side"}),
        ("model_kwargs", set()),
        ("model_args", set()),
        ("config_kwargs", set()),
        ("config_args", set()),
    ):
        unknown = sorted(_mapping(config.get(group)).keys() - allowed - _HARMLESS_ARGUMENTS)
        if unknown:
            raise CheckpointUnreadable(f"{name}: its {group} set {', '.join(unknown)[:100]}, which is not applied here")
    processing = _mapping(config.get("processing_kwargs"))
    unknown = sorted((processing.keys() - {"text"}) | (_mapping(processing.get("text")).keys() - {"max_length"}))
    if unknown:
        raise CheckpointUnreadable(
            f"{name}: its processing_kwargs set {', '.join(unknown)[:100]}, which is not applied here"
        )


def _default_prompt(config: Mapping[str, Any], name: str) -> str:
    kind = config.get("model_type", "SentenceTransformer")
    if kind != "SentenceTransformer":
        raise CheckpointUnreadable(f"{name} is a {kind} of sentence-transformers; only dense encoders are read")
    chosen = config.get("default_prompt_name")
    if chosen is None:
        return ""
    prompt = _mapping(config.get("prompts")).get(chosen)
    if not isinstance(prompt, str):
        raise CheckpointUnreadable(f"{name}: {PROMPTS_FILE} has no prompt '{chosen}', its default")
    return prompt


def _not_understood(name: str, kind: str) -> CheckpointUnreadable:
    known = ", ".join((_TRANSFORMER, _STATIC, _POOLING, *_WEIGHTED, *_PLAIN))
    return CheckpointUnreadable(f"{name}: its pipeline has the step '{kind}'; understood are {known}")


def _file(folder: str, file: str) -> str:
    return f"{folder}/{file}" if folder else file


def _json(read: ReadFile, file: str, name: str) -> Any:
    data = read(file)
    try:
        return None if data is None else json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CheckpointUnreadable(f"{name}: {file} is not JSON: {error}") from error


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
