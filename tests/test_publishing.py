"""All that publishing needs, each piece held to its schema: workflows, citation, archive, package, hosted notebooks."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import typer.main
import yaml

from workbench.__main__ import app

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
ARCHIVE = json.loads((ROOT / ".zenodo.json").read_text("utf-8"))
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "results").glob("*.md"))]
OF_THE_PAST = ("CHANGELOG", "LOG", "MIGRATION")
PAGES = [*(path for path in DOCUMENTS if path.stem not in OF_THE_PAST), *sorted((ROOT / "docs").glob("*.md"))]


def checked(schema, *paths):
    """The verdict of check-jsonschema on some files under a schema that it carries; no network is asked."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True)


def test_workflows_are_what_the_code_host_reads():
    done = checked("vendor.github-workflows", *WORKFLOWS)
    assert done.returncode == 0, done.stdout


def test_a_fault_in_a_workflow_is_seen(tmp_path):
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(WORKFLOWS[0].read_text().replace("runs-on:", "runs_on:"))
    assert checked("vendor.github-workflows", wrong).returncode == 1


def test_workflows_run_what_ci_runs_and_publish_what_make_site_builds():
    steps = {path.stem: re.findall(r"run: (.+?)(?:\s#.*)?$", path.read_text(), re.M) for path in WORKFLOWS}
    assert "bash .ci/run" in steps["tests"]
    assert "make site" in steps["site"]
    jobs = yaml.safe_load((ROOT / ".github/workflows/site.yml").read_text())["jobs"]
    uploaded = next(step["with"]["path"] for step in jobs["build"]["steps"] if "upload" in step.get("uses", ""))
    assert uploaded == "results/site"
    assert jobs["publish"]["permissions"] == {"pages": "write", "id-token": "write"}
    for path in WORKFLOWS:
        content = yaml.safe_load(path.read_text())
        assert content["permissions"] in ({}, {"contents": "read"}), "nothing else may write"


def test_the_citation_is_one_and_a_fault_in_it_is_seen(tmp_path):
    done = checked("vendor.citation-file-format", ROOT / "CITATION.cff")
    assert done.returncode == 0, done.stdout
    (tmp_path / "CITATION.cff").write_text(
        (ROOT / "CITATION.cff").read_text("utf-8").replace("license: MIT", "license: X")
    )
    assert checked("vendor.citation-file-format", tmp_path / "CITATION.cff").returncode == 1


def test_the_archives_metadata_use_its_words():
    """Fields and vocabulary of the archive's deposit interface, as far as they are used."""
    fields = "title description upload_type access_right license language creators keywords related_identifiers"
    assert set(ARCHIVE) == set(fields.split())
    assert ARCHIVE["upload_type"] in ("publication", "poster", "presentation", "dataset", "image", "video", "software")
    assert ARCHIVE["access_right"] in ("open", "embargoed", "restricted", "closed")
    assert all(set(creator) <= {"name", "affiliation", "orcid"} for creator in ARCHIVE["creators"])
    for related in ARCHIVE["related_identifiers"]:
        assert set(related) == {"identifier", "relation", "resource_type"}
        assert related["relation"] in ("cites", "references", "isSupplementTo", "isDerivedFrom", "isVersionOf")
        assert re.fullmatch(r"arXiv:\d{4}\.\d{5}", related["identifier"])


def test_citation_archive_and_package_agree():
    assert CITATION["version"] == PROJECT["version"]
    assert CITATION["license"] == ARCHIVE["license"] == PROJECT["license"]
    assert CITATION["title"] == ARCHIVE["title"]
    assert CITATION["keywords"] == ARCHIVE["keywords"] == PROJECT["keywords"]
    names = [author["name"] for author in CITATION["authors"]]
    assert names == [creator["name"] for creator in ARCHIVE["creators"]] == [a["name"] for a in PROJECT["authors"]]
    cited = [i["value"] for reference in CITATION["references"] for i in reference["identifiers"]]
    assert set(cited) <= {related["identifier"] for related in ARCHIVE["related_identifiers"]}


def test_classifiers_are_known_and_name_the_pythons_that_are_taken():
    from trove_classifiers import classifiers

    assert set(PROJECT["classifiers"]) <= classifiers
    pythons = {
        c.rpartition(" ")[2] for c in PROJECT["classifiers"] if c.startswith("Programming Language :: Python :: 3.")
    }
    setup = (ROOT / "scripts" / "setup.py").read_text()
    oldest, newest = re.search(r"OLDEST, NEWEST = \(3, (\d+)\), \(3, (\d+)\)", setup).groups()
    assert pythons == {f"3.{minor}" for minor in range(int(oldest), int(newest))}


def test_a_hosted_notebook_gets_torch_from_conda_and_the_project_from_here():
    from rattler import MatchSpec

    hosted = yaml.safe_load((ROOT / ".binder" / "environment.yml").read_text())
    specs = {MatchSpec(s, strict=True).name.normalized for s in hosted["dependencies"]}
    assert specs == {"python", "pip", "pytorch-cpu"}
    script = ROOT / ".binder" / "postBuild"
    assert script.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    assert script.read_text().splitlines()[-1] == "python -m pip install --no-cache-dir -e ."


def commands(text):
    """The calls of workbench or make in a page's shell blocks, comments apart, and in its words as code."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    lines = [line.partition("#")[0] for block in blocks for line in block.splitlines()]
    for line in [*lines, *re.findall(r"`((?:workbench|make) [^`]+)`", text)]:
        words = line.split()
        if words[:1] in (["workbench"], ["make"]):
            yield words


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_every_command_of_a_page_is_a_verb_with_options_that_it_knows(page):
    verbs = typer.main.get_command(app).commands
    targets = set(re.findall(r"^(\w+):.*##", (ROOT / "Makefile").read_text(), re.M))
    for words in commands(page.read_text("utf-8")):
        if words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= targets, words
        else:
            options = {name for parameter in verbs[words[1]].params for name in parameter.opts}
            assert {word for word in words[2:] if word.startswith("-")} <= options, words


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_of_a_document_leads_somewhere_and_every_picture_has_words(page):
    """In the project itself; `make site` looks at the pages that it makes of them."""
    text = page.read_text("utf-8")
    pictures = re.findall(r"<img [^>]*>", text)
    assert all(re.search(r'alt="[^"]{20,}"', picture) for picture in pictures)
    assert all(len(words) >= 20 for words in re.findall(r"!\[([^\]]*)\]\((?!https)", text))
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|srcset)="([^"]+)"', text)
    for address in map(urlsplit, links):
        there = (page.parent / unquote(address.path)).resolve() if address.path else page
        assert address.netloc or there.exists(), address
        if address.fragment and not address.netloc:
            assert address.fragment in headings(there.read_text("utf-8")), address


def headings(text):
    """The places of a document that a link can name, as code hosts write them."""
    found = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


def test_what_only_an_owner_can_do_is_five_lines():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## What only an owner can do")[2]
    assert len(re.findall(r"^\d\. ", text.partition("\n## ")[0], re.M)) == 5


def test_the_readme_begins_with_what_it_is_its_picture_and_the_two_commands():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    order = ("What does an RNN gain", "<picture>", "\nmake reproduce", "\nmake test", "## What holds", "## The map")
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert text.count("\n", 0, places[3]) < 35, "the first screen"
    assert text.count("\n") < 250
    rooms = sorted(path.parent.name for path in (ROOT / "workbench").glob("*/__init__.py"))
    assert sorted(re.findall(r"^\| `workbench/(\w+)/` \|", text, re.M)) == rooms, "a line a room"
