"""Every file is short, says in its first line what it is for, and offers few names."""

import ast

from house.sources import Definition, Source, is_public, listing, sources

LONGEST = 300
MOST_NAMES = 6
NEVER_A_FILE_NAME = {"utils", "util", "base", "helpers", "helper", "common", "misc", "core", "v2", "tools", "stuff"}

# More public names than six (most files have one to four), each with its reason.
MAY_OFFER_MORE = {
    "src/dina/analyses/verdict.py": "claims, rules and the words that rules share are read together",
    "src/dina/analyses/spatial_frequency/compute.py": "two analyses in one room, each with settings, a result and a function",
    "src/dina/analyses/attention_interactions/compute.py": "two analyses in one room, each with settings, a result and a function",
    "src/dina/analyses/semantics/category_retrieval.py": "decoders, their information and the distractors that win are read together",
    "src/dina/analyses/image_filters.py": "filters, the frequencies they are set to and the contrast they leave are one subject",
    "src/dina/cli/commands.py": "one function for each command",
    "src/dina/study/settings.py": "one class for each table of study.toml, read and written together",
    "src/dina/training/presets/frozen_encoders.py": "three presets around one kind of encoder, each with its settings",
    "src/dina/data/pairs.py": "pairs, queries, gallery and the task made of them are read together",
    "src/dina/statistics/coupling.py": "the precision, the surest pairs and networks rewired from them are read together",
}


def _code_lines(source: Source) -> int:
    """Count the lines of a file that are code: no blank line, comment, docstring or import."""
    other: set[int] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, (ast.Module, Definition)) and ast.get_docstring(node) is not None:
            other.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            other.update(range(node.lineno, node.end_lineno + 1))
    lines = enumerate(source.text.splitlines(), 1)
    return sum(number not in other and bool(line.strip()) and not line.lstrip().startswith("#") for number, line in lines)


def test_no_file_has_more_than_300_lines_of_code() -> None:
    long = {source.path: n for source in sources() if (n := _code_lines(source)) > LONGEST}
    assert not long, listing(long)


def test_the_first_line_of_every_file_says_what_it_is_for() -> None:
    silent = []
    for source in sources():
        if source.path.startswith("tests/") and not source.text.strip():
            continue
        first = (ast.get_docstring(source.tree) or "").split("\n")[0]
        ends = (".", "?") if source.path.startswith("examples/") else "."  # an example has its question as title
        opens_the_file = source.text.startswith(('"""', 'r"""'))
        is_a_sentence = (first[:1].isupper() or first.startswith("dina ")) and first.endswith(ends) and len(first.split()) >= 4
        if not (opens_the_file and is_a_sentence):
            silent.append(f"{source.path}: {first!r}")
    assert not silent, listing(silent)


def test_no_two_files_open_with_the_same_words() -> None:
    first_lines: dict[str, list[str]] = {}
    for source in sources("src/dina"):
        first_lines.setdefault((ast.get_docstring(source.tree) or "").split("\n")[0], []).append(source.path)
    shared = {line: paths for line, paths in first_lines.items() if len(paths) > 1}
    assert not shared, listing(shared)


def test_no_file_has_a_name_that_says_nothing() -> None:
    parts = {source.path: source.path.removesuffix(".py").split("/") for source in sources()}
    found = [path for path, names in parts.items() if NEVER_A_FILE_NAME & set(names)]
    assert not found, listing(found)


def test_a_file_offers_at_most_six_names() -> None:
    crowded = {}
    for source in sources("src/dina"):
        names = [node.name for node in source.tree.body if isinstance(node, Definition) and is_public(node.name)]
        if len(names) > MOST_NAMES and source.path not in MAY_OFFER_MORE:
            crowded[source.path] = names
    assert not crowded, listing(crowded)


def test_exceptions_are_still_needed() -> None:
    by_path = {source.path: source for source in sources("src/dina")}
    for path in MAY_OFFER_MORE:
        names = [node.name for node in by_path[path].tree.body if isinstance(node, Definition) and is_public(node.name)]
        assert len(names) > MOST_NAMES, f"{path} offers {len(names)} names: take it off the list"
