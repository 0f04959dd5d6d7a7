"""What `make audit` says: holes, none, or that nothing was audited."""

import json
import subprocess
from types import SimpleNamespace

import pytest

from tests import audit

HOLE = {"id": "CVE-2020-1", "fix_versions": ["1.1"]}
SOUND = {"name": "sound", "version": "1.0", "vulns": []}
HOLED = {"name": "holed", "version": "1.0", "vulns": [HOLE]}
UNKNOWN = {"name": "unknown", "skip_reason": "Dependency not found on PyPI"}


@pytest.fixture
def answer(monkeypatch):
    """Lets each index answer as told; an index without an answer cannot be reached."""

    def answer(**packages):
        def run(command, **options):
            found = packages.get(command[command.index("-s") + 1])
            text = json.dumps({"dependencies": found}) if found else ""
            return SimpleNamespace(stdout=text, stderr="Traceback\nConnectionError: no such host")

        monkeypatch.setattr(subprocess, "run", run)

    return answer


def test_a_hole_is_named_with_the_version_that_mends_it(answer, capsys):
    answer(pypi=[SOUND, HOLED, UNKNOWN])
    assert audit.main() == 1
    told = capsys.readouterr().out
    assert "holed 1.0: CVE-2020-1, fixed in 1.1" in told
    assert "3 packages, 1 known holes, 1 unknown to the index: unknown" in told


def test_no_hole_is_success(answer, capsys):
    answer(pypi=[SOUND])
    assert audit.main() == 0
    assert "1 packages, 0 known holes, 0 unknown to the index\n" in capsys.readouterr().out


def test_a_mirror_that_knows_no_package_is_not_taken_for_a_clean_bill(answer, capsys):
    answer(pypi=[UNKNOWN, UNKNOWN])
    assert audit.main() == 0
    told = capsys.readouterr().out
    assert told.startswith("audit skipped, nothing was audited: pypi: it knows none of the 2 packages; ")
    assert "osv: ConnectionError: no such host" in told


def test_the_second_index_is_asked_where_the_first_knows_nothing(answer):
    answer(pypi=[UNKNOWN], osv=[HOLED])
    assert audit.main() == 1
