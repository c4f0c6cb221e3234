"""Where the roles keep their files under APEX_HOME: the one list of their names."""

from pathlib import Path

from config.home import remove_discovery
from config.settings import Settings
from policies import revocations
from policies.snapshot_age import CONFIRMED_FILE, SNAPSHOT_FILE


def run_directory(settings: Settings) -> Path:
    """Sockets, metrics and process numbers of what runs now."""
    return settings.home / "run"


def metrics_directory(settings: Settings) -> Path:
    return run_directory(settings) / "metrics"


def bus_path(settings: Settings) -> Path:
    return run_directory(settings) / "bus.sock"


def processes_path(settings: Settings) -> Path:
    """{"supervisor": pid, "control": pid, "proxy-0": pid, ...}, rewritten at every change."""
    return run_directory(settings) / "processes.json"


def snapshot_path(settings: Settings) -> Path:
    return settings.home / SNAPSHOT_FILE


def confirmed_path(settings: Settings) -> Path:
    """Touched by the control process while it vouches for the snapshot."""
    return settings.home / CONFIRMED_FILE


def revocations_path(settings: Settings) -> Path:
    return settings.home / revocations.FILE_NAME


def snapshot_lock_path(settings: Settings) -> Path:
    """Held for as long as a snapshot is numbered and written."""
    return settings.home / "snapshot.lock"


def segments_directory(settings: Settings) -> Path:
    return settings.home / "segments"


def unmetered_directory(settings: Settings) -> Path:
    """Sealed records of attempts without usage, until their tokens are counted."""
    return settings.home / "unmetered"


def price_books_directory(settings: Settings) -> Path:
    return settings.home / "price-books"


def mock_bill_path(settings: Settings) -> Path:
    return settings.home / "mock-bill.jsonl"


def admin_token_path(settings: Settings) -> Path:
    return settings.home / "admin.token"


def demo_key_path(settings: Settings) -> Path:
    return settings.home / "demo.key"


def discovery_directory(settings: Settings) -> Path:
    """Beside the home, so that tools find it from the project's directory."""
    return settings.home.parent / ".service_discovery"


def make_directories(settings: Settings) -> None:
    """Make what every role expects; only this user may enter the run directory."""
    run_directory(settings).mkdir(mode=0o700, parents=True, exist_ok=True)
    metrics_directory(settings).mkdir(exist_ok=True)
    segments_directory(settings).mkdir(exist_ok=True)
    price_books_directory(settings).mkdir(exist_ok=True)
    unmetered_directory(settings).mkdir(mode=0o700, exist_ok=True)


def forget_last_run(settings: Settings) -> None:
    """Remove what a killed run left behind; only the holder of the home lock may."""
    processes_path(settings).unlink(missing_ok=True)
    bus_path(settings).unlink(missing_ok=True)
    for name in ("proxy", "admin", "mock"):
        remove_discovery(discovery_directory(settings), name)
