"""Every public name says what it is, and every parameter what it takes."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re

import pytest

import createos_nb
import createos_nb.api.declarations  # of every operation
from createos_nb.api.operation import OPERATIONS, Operation
from createos_nb.api.procedure import Procedure

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(createos_nb.__path__, "createos_nb.")
    if ".applications.shop." not in module.name and not module.name.endswith("__main__")
)
SECTIONS = ["Parameters", "Attributes", "Returns", "Yields", "Raises", "See Also", "Notes", "Examples"]
TYPED = ("charts", "metrics", "panels", "plans", "reports", "runbooks")
NO_DOCUMENT = {"self", "cls"}
SELF_EVIDENT = {
    "client",
    *("project_id", "environment_id", "deployment_id", "domain_id", "api_key_id"),
    *("app_id", "cronjob_id", "installation_id", "template_id", "purchase_id"),  # ids, named by what they are of
}


def public_members(owner):
    """The public functions and classes that a module or class defines itself."""
    for name, member in vars(owner).items():
        if name.startswith("_"):
            continue
        inner = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        inner = getattr(inner, "func", inner)  # a cached property
        if inspect.isclass(inner) or inspect.isfunction(inner):
            home = inner.__module__
        elif isinstance(inner, Operation | Procedure):
            home = inner.function.__module__
        else:
            continue
        if home == (owner.__name__ if inspect.ismodule(owner) else owner.__module__):
            yield name, member, inner


def everything():
    importlib.import_module("papermill")  # it loads our engine by its entry point, so it has to come first
    for name in MODULES:
        module = importlib.import_module(name)
        yield name, module
        yield from below(module, name)


def below(owner, path):
    for name, member, inner in public_members(owner):
        yield f"{path}.{name}", inner if not isinstance(member, property) else member
        if inspect.isclass(inner):
            yield from below(inner, f"{path}.{name}")


PUBLIC = dict(everything())
# An enum's or dataclass's inherited methods are not ours to document; these are all written here.
FUNCTIONS = {
    path: member
    for path, member in PUBLIC.items()
    if inspect.isfunction(member) or isinstance(member, Operation | Procedure)
}


def doc_of(member):
    return inspect.cleandoc(member.__doc__ or "")


def sections(text):
    """The sections of a numpydoc docstring, by title."""
    titles = [(m.group(1), m.start(), m.end()) for m in re.finditer(r"^([A-Z][A-Za-z ]+)\n-{3,}$", text, re.M)]
    ends = [*(start for _, start, _ in titles), len(text)][1:]
    return {title: text[end:until] for (title, _, end), until in zip(titles, ends, strict=True)}


def names_in(section):
    lines = re.findall(r"^([*\w][\w, *]*?)(?: : .*)?$", section, re.M)
    return {name.strip("* ") for line in lines for name in line.split(",")}


def parameters_of(member):
    function = member.function if isinstance(member, Operation | Procedure) else member
    names = [name for name in inspect.signature(function).parameters if not name.startswith("_")]
    return [name for name in names if name not in NO_DOCUMENT]


def test_everything_public_has_a_first_line_that_is_one_sentence():
    bad = {}
    for path, member in PUBLIC.items():
        first = doc_of(member).split("\n")[0]
        if not first.endswith((".", ":")) or len(first) < 8:
            bad[path] = first
    assert bad == {}


def test_the_first_line_stands_alone():
    assert [path for path, member in PUBLIC.items() if "\n" in (doc := doc_of(member)) and doc.split("\n")[1]] == []


def test_sections_have_known_names_in_the_order_of_numpydoc():
    bad = {}
    for path, member in PUBLIC.items():
        titles = list(sections(doc_of(member)))
        order = [SECTIONS.index(title) for title in titles if title in SECTIONS]
        if [title for title in titles if title not in SECTIONS] or order != sorted(order):
            bad[path] = titles
    assert bad == {}


def test_no_docstring_names_a_parameter_that_is_not_there():
    bad = {}
    for path, member in FUNCTIONS.items():
        found = sections(doc_of(member))
        if strangers := names_in(found.get("Parameters", "")) - set(parameters_of(member)) - {""}:
            bad[path] = strangers
    assert bad == {}


def test_a_docstring_that_documents_parameters_documents_all_of_them():
    """Except inside the platform, which nobody calls from a notebook: names that say it all stand alone there."""
    bad = {}
    for path, member in FUNCTIONS.items():
        found = sections(doc_of(member))
        if "Parameters" in found and not path.startswith("createos_nb.platform."):
            told = names_in(found["Parameters"])
            if left_out := [name for name in parameters_of(member) if name not in told | SELF_EVIDENT]:
                bad[path] = left_out
    assert bad == {}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_documents_all_that_it_takes_beside_ids(name):
    declared = OPERATIONS[name]
    taken = [parameter for parameter in parameters_of(declared) if parameter not in SELF_EVIDENT]
    if taken == ["unique_name"]:  # "Say whether a name is free" says it
        return
    told = names_in(sections(doc_of(declared)).get("Parameters", ""))
    assert [parameter for parameter in taken if parameter not in told] == []


def test_what_a_notebook_user_types_documents_every_parameter():
    """The front door: nobody who presses Shift-Tab there is left alone."""
    front = [
        "session.",
        "workspace.Workspace.",
        "selection.Selection.",
        "analytics.Analytics.",
        "plans.plan.Plan.apply",
    ]
    inner = {"createos_nb.selection.Selection.collect", "createos_nb.selection.Selection.now"}
    bad = {}
    for path, member in FUNCTIONS.items():
        if path.startswith(tuple(f"createos_nb.{name}" for name in front)) and path not in inner:
            told = names_in(sections(doc_of(member)).get("Parameters", ""))
            if left_out := [name for name in parameters_of(member) if name not in told]:
                bad[path] = left_out
    assert bad == {}


def test_nothing_that_a_notebook_user_types_takes_free_keyword_arguments():
    """Only a runbook's parameters are free, since its notebook declares them."""
    free = set()
    for package in (createos_nb, *(importlib.import_module(f"createos_nb.{name}") for name in TYPED)):
        for name in package.__all__:
            member = getattr(package, name)
            ours = [member, *(vars(member).values() if inspect.isclass(member) else [])]
            for function in filter(inspect.isfunction, ours):
                if any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values()):
                    free.add(f"{package.__name__}.{name}")
    # The renderer has the signature that Altair calls.
    assert free == {"createos_nb.runbooks.run", "createos_nb.charts.createos_renderer"}


def test_parameters_of_a_constructor_are_documented_on_the_class():
    bad = {}
    for path, member in PUBLIC.items():
        if not inspect.isclass(member) or "__init__" not in vars(member) or hasattr(member, "__dataclass_fields__"):
            continue
        if issubclass(member, Exception | Operation | Procedure) or "Parameters" not in (
            found := sections(doc_of(member))
        ):
            continue
        taken = set(parameters_of(member.__init__))
        if taken != names_in(found["Parameters"]) - {""}:
            bad[path] = taken ^ names_in(found["Parameters"])
    assert bad == {}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_says_what_it_returns_and_what_it_raises(name):
    """As Shift-Tab shows it, in the order of numpydoc."""
    told = inspect.getdoc(OPERATIONS[name])
    order = [section for section in re.findall(r"^(\w+)\n-{3,}$", told, re.MULTILINE) if section != "Notes"]
    assert order[-2:] == ["Returns", "Raises"], order
    assert ("OutcomeUnknown\n" in told) == (OPERATIONS[name].safety != "read")
    assert ("NotOverMCP\n" in told) == (OPERATIONS[name].tool is None)
