from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from models import trees
from models.documents import LARGEST_FILE, MOST_FILES, Documents, DocumentsRefused, Problem, read_folder
from models.trees import Budget, Items, Leaf, Mapping, grow


def written(folder: Path, **documents: str) -> Path:
    """Write documents into a folder."""
    for name, text in documents.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def lines(folder: Path) -> list[str]:
    """Return the problems for which a folder is refused."""
    with pytest.raises(DocumentsRefused) as caught:
        read_folder(folder)
    return [str(problem) for problem in caught.value.problems]


def tree(text: str) -> Mapping:
    """Return the tree of a document without problems."""
    problems: list[Problem] = []
    root = grow("x.yaml", text, Budget(1_000), problems)
    assert root is not None, problems
    assert not problems
    return root


# ----------------------------------------------------------------------------------------------------------- folders


def test_documents_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    """Documents are read in name order, whatever order the folder lists them in."""
    documents = read_folder(written(tmp_path, b="k: [2]", a="k: [1]", c="other: 1"))
    assert [node.file for node in documents.section("k")] == ["a.yaml", "b.yaml"]


def test_the_digest_covers_names_and_contents(tmp_path: Path) -> None:
    """Another content, another name, or a text moved from one document to the next gives another digest."""
    variants = [{"a": "x: 1", "b": "y: 1"}, {"a": "x: 2", "b": "y: 1"}, {"a": "x: 1", "c": "y: 1"}, {"a": "x: 1"}]
    variants += [{"a": "x: 1 #", "b": "y: 1"}, {"a": "x: 1 #b.yamly: 1"}]
    digests = []
    for number, variant in enumerate(variants):
        (tmp_path / str(number)).mkdir()
        digests.append(read_folder(written(tmp_path / str(number), **variant)).digest)
    assert len(set(digests)) == len(variants)
    assert all(len(digest) == 64 for digest in digests)


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    """A README, a hidden file and a folder without documents change nothing."""
    written(tmp_path, a="x: 1")
    before = read_folder(tmp_path)
    (tmp_path / "README.md").write_text("{")
    (tmp_path / ".a.yaml").write_text("{")
    (tmp_path / "sub").mkdir()
    assert read_folder(tmp_path) == before


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    """Editors that write a byte order mark write the same document."""
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfx: 1")
    assert next(iter(read_folder(tmp_path).section("x"))).line == 1


def test_windows_line_ends_count_as_one_line(tmp_path: Path) -> None:
    """Lines are counted as editors count them, with either kind of line end."""
    (tmp_path / "a.yaml").write_bytes(b"x: 1\r\ny: 2\r\n")
    assert next(iter(read_folder(tmp_path).section("y"))).line == 2


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """A folder that is not there, or is a file, is named in the refusal."""
    (tmp_path / "file").write_text("x: 1")
    for name in ("nowhere", "file", "nul\0"):
        (line,) = lines(tmp_path / name)
        assert line.startswith(f"{tmp_path / name}:1: cannot be read as a folder (")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    """A folder without documents is no strategy."""
    assert lines(tmp_path) == [f"{tmp_path}:1: holds no documents; name a folder with *.yaml files"]


def test_what_is_nearly_a_document_is_not_left_out_silently(tmp_path: Path) -> None:
    """A guardrail in a file that would not be read is a danger, so such files are refused."""
    written(tmp_path, a="x: 1")
    (tmp_path / "rules.yml").write_text("guardrails: []")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "more.yaml").write_text("guardrails: []")
    assert lines(tmp_path) == [
        "rules.yml:1: is not read under this name; give it a plain name that ends in .yaml",
        "sub/more.yaml:1: is in a subfolder, which is not read; move it up",
    ]


def test_a_link_may_not_lead_outside(tmp_path: Path) -> None:
    """A document that is a link to a file elsewhere is refused, whatever it leads to."""
    (tmp_path / "secret").write_text("x: 1")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "a.yaml").symlink_to(tmp_path / "secret")
    (inside / "b.yaml").symlink_to(inside / "nowhere")
    (inside / "c.yaml").symlink_to(inside / "c.yaml")
    found = lines(inside)
    assert found[0] == "a.yaml:1: is a link that leads outside of the folder; put the file itself here"
    assert [line.split(" (")[0] for line in found[1:]] == ["b.yaml:1: cannot be read", "c.yaml:1: cannot be read"]


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    """Mounted configuration is made of links to a hidden folder beside them, and is read."""
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "a.yaml").write_text("x: 1")
    (tmp_path / "a.yaml").symlink_to(tmp_path / "..data" / "a.yaml")
    assert [root.file for root in read_folder(tmp_path).roots] == ["a.yaml"]


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    """Something that is no plain file is refused without reading from it."""
    os.mkfifo(tmp_path / "a.yaml")
    assert lines(tmp_path) == ["a.yaml:1: is not a file; only plain files may end in .yaml"]


def test_size_is_bounded(tmp_path: Path) -> None:
    """A document of the largest size is read, and one byte more is refused."""
    written(tmp_path, a="x: 1 #" + "-" * (LARGEST_FILE - 6))
    assert read_folder(tmp_path).roots
    written(tmp_path, a="x: 1 #" + "-" * (LARGEST_FILE - 5))
    assert lines(tmp_path) == ["a.yaml:1: is larger than 1,000,000 bytes; split it into several files"]


def test_the_number_of_documents_is_bounded(tmp_path: Path) -> None:
    """More documents than anybody reads aloud are refused before one of them is opened."""
    written(tmp_path, **{f"d{number}": "x: 1" for number in range(MOST_FILES + 1)})
    assert lines(tmp_path) == [f"{tmp_path}:1: holds 257 documents; join them into 256 or fewer"]


def test_other_encodings_are_refused_at_their_line(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are refused, with the line where they stand."""
    (tmp_path / "a.yaml").write_bytes("x: 1\ny: caf\u00e9\n".encode("latin-1"))
    assert lines(tmp_path) == ["a.yaml:2: is not UTF-8; save it as UTF-8"]


def test_every_broken_document_is_reported(tmp_path: Path) -> None:
    """One broken document does not hide the next."""
    found = lines(written(tmp_path, a="x: [", b="y: 1", c="- 1"))
    assert [line.split(" ")[0] for line in found] == ["a.yaml:1:", "c.yaml:1:"]


def test_repeated_keys_leave_the_rest_to_be_checked(tmp_path: Path) -> None:
    """A repeated key is a problem of the documents, and the first value is the one that is checked."""
    documents = read_folder(written(tmp_path, a="x: 1\nx: 2"))
    assert [str(problem) for problem in documents.problems] == [
        "a.yaml:2: repeats the key `x` of line 1; keep one of them"
    ]
    (leaf,) = documents.section("x")
    assert isinstance(leaf, Leaf)
    assert leaf.text == "1"


def test_a_refusal_lists_its_problems_in_order() -> None:
    """A refusal says each problem once, sorted by file and line, one a line."""
    later, sooner = Problem("b.yaml", 10, "is late; hurry"), Problem("b.yaml", 9, "is first; wait")
    refused = DocumentsRefused([later, sooner, later])
    assert str(refused) == "b.yaml:9: is first; wait\nb.yaml:10: is late; hurry"
    assert refused.problems == (sooner, later)


def test_very_many_problems_are_counted_and_not_all_printed() -> None:
    """Beyond a thousand problems the message says how many more there are."""
    refused = DocumentsRefused(Problem("a.yaml", number, "is wrong; mend it") for number in range(1, 1_502))
    assert str(refused).splitlines()[-1] == "and 501 more; mend these first"
    assert len(refused.problems) == 1_501


# ------------------------------------------------------------------------------------------------------------- trees


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def _either_parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(yaml, request.param):
        pytest.skip("PyYAML was built without libyaml")
    monkeypatch.setattr(trees, "_LOADER", getattr(yaml, request.param))


@pytest.mark.usefixtures("_either_parser")
def test_nodes_know_their_lines_under_either_parser() -> None:
    """Keys, values, lists and mappings know their lines, after letters of more than one byte too."""
    root = tree("é: ü\nlist:\n  - one\n  - {a: 1,\n     b: 'two'}\n")
    items = root.nodes["list"]
    assert isinstance(items, Items)
    inner = items.nodes[1]
    assert isinstance(inner, Mapping)
    assert (items.line, items.nodes[0].line, inner.line, inner.nodes["b"].line) == (3, 3, 4, 5)
    assert root.key_lines == {"é": 1, "list": 2}
    assert root.nodes["é"] == Leaf("x.yaml", 1, "ü", True, "ü")
    assert inner.nodes["b"] == Leaf("x.yaml", 5, "two", False, "'two'")


@pytest.mark.usefixtures("_either_parser")
def test_depth_is_bounded_under_either_parser() -> None:
    """Thirty-two levels are read, the thirty-third is refused."""
    problems: list[Problem] = []
    assert grow("x.yaml", "a: " + "[" * 31 + "]" * 31, Budget(1_000), problems) is not None
    assert grow("x.yaml", "a: " + "[" * 32 + "]" * 32, Budget(1_000), problems) is None
    assert [problem.message for problem in problems] == ["is nested deeper than 32 levels; make it flatter"]


def test_the_number_of_nodes_is_bounded_over_all_documents() -> None:
    """Documents share one allowance of values."""
    problems: list[Problem] = []
    budget = Budget(5)
    assert grow("a.yaml", "x: 1", budget, problems)
    assert grow("b.yaml", "y: 1", budget, problems) is None
    assert [problem.file for problem in problems] == ["b.yaml"]


def test_an_alias_costs_nothing() -> None:
    """Nothing that an alias stands for is ever built."""
    problems: list[Problem] = []
    assert grow("x.yaml", "a: &a [1]\nb: [*a, *a]\n", Budget(100), problems) is None
    assert [problem.line for problem in problems] == [1, 2]


PLACES = [
    ("plain", "when: a == 1\n  && b\n", "b", 2),
    ("literal", "when: |\n  a == 1\n\n  && b\n", "b", 4),
    ("literal with a blank beginning", "when: |\n\n\n  b\n", "b", 4),
    ("literal with a comment on its head", "when: |-  # a b\n  a\n  b\n", "b", 3),
    ("folded", "when: >\n  a == 1\n  && é\n\n  || b\n", "b", 5),
    ("folded and kept", "when: >+2\n   a\n  b\n\n", "b", 3),
    ("in double quotes", 'when: "a == 1\n  && b"\n', "b", 2),
    ("in single quotes", "when: 'a == 1\n\n  && b'\n", "b", 3),
]


@pytest.mark.parametrize(("text", "word", "line"), [case[1:] for case in PLACES], ids=[case[0] for case in PLACES])
@pytest.mark.usefixtures("_either_parser")
def test_a_place_inside_a_text_is_found_in_the_file(text: str, word: str, line: int) -> None:
    """A problem inside a text over several lines is reported at its own line, however the text is written."""
    leaf = tree(text).nodes["when"]
    assert isinstance(leaf, Leaf)
    before = leaf.text[: leaf.text.index(word)]
    assert leaf.line_of(1 + before.count("\n"), len(before) - (before.rfind("\n") + 1) + 1) == line


def test_a_place_beyond_the_text_is_its_last_line() -> None:
    """A place that is not in the text, such as its end, gives the text's last line."""
    leaf = tree("when: |\n  a\n  >\n\n").nodes["when"]
    assert isinstance(leaf, Leaf)
    assert leaf.line_of(9, 9) == 3
    assert leaf.line_of(2, 99) == 3


def test_documents_without_a_section_have_none(tmp_path: Path) -> None:
    """Asking for a section that no document has gives nothing."""
    documents: Documents = read_folder(written(tmp_path, a="x: 1"))
    assert list(documents.section("y")) == []
