"""The control plane's demo runs as the README shows it: it fails when any step or verb does."""

from bench import demo_control


def test_it_runs_from_a_tenant_to_a_verified_audit_log() -> None:
    assert demo_control.main() == 0
