"""What an audit of the locked packages says, and when it fails."""

from tests.audit import verdict

GOOD = {"name": "one", "version": "1.0", "vulns": []}
WEAK = {"name": "two", "version": "2.0", "vulns": [{"id": "CVE-2030-1", "fix_versions": ["2.1"]}]}
UNKNOWN = {"name": "three", "skip_reason": "Dependency not found on PyPI"}


def test_a_known_weakness_fails_and_is_named_with_its_cure():
    lines, code = verdict([GOOD, WEAK])
    assert code == 1
    assert lines[0] == "two 2.0: CVE-2030-1, mended in 2.1"


def test_what_could_not_be_audited_is_not_said_to_be_good():
    lines, code = verdict([GOOD, UNKNOWN])
    assert code == 0
    assert lines == [
        "1 packages audited, 0 known weaknesses.",
        "Not audited, because the index here has no data on them: 1 packages.",
    ]
