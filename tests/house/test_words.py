"""One word for each thing: the field's words in signatures, British spelling, nothing that names a machine."""

import ast
import io
import re
import tokenize

from house.sources import Function, Source, arguments, fields, listing, public_definitions, sources, texts

# The left-hand word is never part of a public name; the right-hand word is what we say.
SAY = {
    "img": "image", "imgs": "image", "picture": "image", "pictures": "image", "frame": "image", "frames": "image",
    "variant": "condition", "mode": "condition or two functions", "event": "trial", "samples": "trials",
    "rep": "repeat", "reps": "repeats", "resp": "response", "resps": "responses", "spikes": "responses",
    "cell": "neuron", "cells": "neurons", "roi": "neuron", "rois": "neurons", "unit": "neuron",
    "embedding": "feature map", "embeddings": "feature maps", "latent": "feature map", "latents": "feature maps",
    "branch": "pathway", "stream": "pathway", "backbone": "tower", "encoder": "tower",
    "tau": "temperature", "probe": "query", "bank": "gallery",
    "acc": "accuracy", "hit": "top-k accuracy", "hits": "top-k accuracy", "recall": "top-k accuracy",
    "oracle": "reliability", "consistency": "reliability", "eigs": "variance spectrum", "eigenspectrum": "variance spectrum",
    "perturb": "occlude, mask or ablate", "knock": "ablate", "saliency": "importance", "attribution": "importance",
    "idx": "index", "num": "n_", "nb": "n_", "cfg": "settings", "config": "settings", "params": "parameters", "arr": "array",
    "vec": "vector", "tmp": "temporary", "fn": "function", "func": "function", "std": "deviation", "stdev": "deviation",
    "thresh": "threshold", "pred": "predicted", "preds": "predicted", "calc": "compute", "val": "value or validation",
}  # fmt: skip

# Where such a word is the field's own.
FIELD_WORDS = {
    "DualStream": "the published name of the image tower",
    "is_backbone_trained": "the published model trains or freezes the first stages of its image tower, its backbone",
    "FrozenEncoder": "what the literature calls a pretrained network that is not trained further",
    "FrozenEncoderSettings": "what the literature calls a pretrained network that is not trained further",
    "encoder_identity": "which pretrained network a run could use",
    "encoder": "the setting that names such a network, which is only part of a tower",
    "get_params": "the name by which scikit-learn asks",
    "set_params": "the name by which scikit-learn asks",
    "to_frame": "the table of pandas and xarray",
    "frame_rate_hz": "how often a microscope scans its plane",
    "read_pictures": "PNG and JPEG files are pictures until they are read",
}

AMERICAN = {
    "color": "colour", "center": "centre", "normalize": "normalise", "standardize": "standardise", "gray": "grey",
    "behavior": "behaviour", "optimize": "optimise", "analyze": "analyse", "initialize": "initialise", "neighbor": "neighbour",
    "regularize": "regularise", "summarize": "summarise", "organize": "organise", "visualize": "visualise", "favor": "favour",
    "recognize": "recognise", "minimize": "minimise", "maximize": "maximise", "generalize": "generalise", "penalize": "penalise",
    "randomize": "randomise", "categorize": "categorise", "characterize": "characterise", "labeled": "labelled",
    "modeled": "modelled", "modeling": "modelling", "traveled": "travelled", "fulfill": "fulfil", "license": "licence",
    "normalization": "normalisation", "standardization": "standardisation", "regularization": "regularisation",
    "optimizer": "optimiser", "regularizer": "regulariser", "initialization": "initialisation", "factorize": "factorise",
    "localize": "localise", "localization": "localisation", "parametrize": "parametrise", "quantize": "quantise",
    "equalize": "equalise", "serialize": "serialise", "vectorize": "vectorise", "defense": "defence", "meter": "metre",
}  # fmt: skip
_AMERICAN = re.compile(rf"(?<![a-z])({'|'.join(AMERICAN)})(?:s|d|r|ed|ing|ization|izer)?(?![a-z])", re.IGNORECASE)


def _words(name: str) -> list[str]:
    """Split ``n_neurons`` and ``RetrievalResult`` into lower-case words."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]


def _public_names(source: Source) -> list[tuple[int, str]]:
    found = []
    for name, node in public_definitions(source):
        found.append((node.lineno, name.split(".")[-1]))
        inside = arguments(node) if isinstance(node, Function) else fields(node)
        found += [(node.lineno, argument) for argument in inside]
    return found


def test_public_names_use_the_words_of_the_field() -> None:
    found = []
    for source in sources("src/dina"):
        for line, name in _public_names(source):
            if name not in FIELD_WORDS:
                found += [f"{source.path}:{line}: {name}: say {SAY[word]}" for word in _words(name) if word in SAY]
    assert not found, listing(found)


def _prose(source: Source) -> list[tuple[int, str]]:
    """Docstrings, comments and error messages of a file, code between backticks left out."""
    found = []
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type == tokenize.COMMENT:
            found.append((token.start[0], token.string))
    for node in ast.walk(source.tree):
        if isinstance(node, (ast.Module, ast.ClassDef, Function)) and (text := ast.get_docstring(node)):
            start = node.body[0].lineno
            found += [
                (start + i, line) for i, line in enumerate(text.split("\n")) if not line.lstrip().startswith((">>>", "..."))
            ]
        if isinstance(node, ast.Raise):
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    found.append((part.lineno, part.value))
    return [(line, re.sub(r"`[^`]*`|https?://\S+", "", text)) for line, text in found]


def _own_names(source: Source) -> list[tuple[int, str]]:
    """Names that a file chooses itself: definitions, arguments and variables; not those of libraries it calls."""
    found = []
    for node in ast.walk(source.tree):
        if isinstance(node, (Function, ast.ClassDef)):
            found.append((node.lineno, node.name))
        elif isinstance(node, ast.arg):
            found.append((node.lineno, node.arg))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.append((node.lineno, node.id))
    return found


def test_python_files_are_spelt_the_british_way() -> None:
    found = []
    for source in sources():
        if source.path == "tests/house/test_words.py":
            continue
        for line, text in (*_prose(source), *_own_names(source)):
            found += [f"{source.path}:{line}: {match[0]} in {text.strip()[:60]!r}" for match in _AMERICAN.finditer(text)]
    assert not found, listing(found)


def test_documents_are_spelt_the_british_way() -> None:
    found = []
    for path, text in texts().items():
        if not path.endswith(".md"):
            continue
        prose = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)|https?://\S+|LICENSE|BSD-3-Clause License", "", text, flags=re.DOTALL)
        found += [f"{path}: {match[0]}" for match in _AMERICAN.finditer(prose)]
    assert not found, listing(found)


# put together from halves, so that this file does not name them either
MACHINE = ["/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", "C:\\Us" + "ers"]
REGISTRY = ["files.pytho" + "nhosted", "py" + "pi.org", "registry.np" + "mjs", "deb.de" + "bian.org", "--extra-index" + "-url"]


def test_no_file_names_a_machine_or_a_registry() -> None:
    found = []
    for path, text in texts().items():
        for number, line in enumerate(text.split("\n"), 1):
            found += [f"{path}:{number}: {word}" for word in (*MACHINE, *REGISTRY) if word in line]
    assert not found, listing(found)


def test_no_file_speaks_of_how_the_work_was_organised() -> None:
    work = re.compile(r"\b(issue|ticket|task|sprint|milestone) #?\d+\b|\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b", re.IGNORECASE)
    found = []
    for path, text in texts().items():
        for number, line in enumerate(text.split("\n"), 1):
            found += [f"{path}:{number}: {match[0]}" for match in work.finditer(line)]
    assert not found, listing(found)


def test_exceptions_are_still_needed() -> None:
    names = " ".join(name for source in sources("src/dina") for _, name in _public_names(source))
    unused = [phrase for phrase in FIELD_WORDS if phrase not in names]
    assert not unused, listing(unused)
