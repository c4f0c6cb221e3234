"""`python main.py admin` and `worker`: the halves of the control plane as processes of their own.

Only on server engines; roles/engines.py says which combinations, and names what to change.
"""

import argparse
import signal

from config.home import HomeLock
from config.log import configure_logging
from config.settings import Settings
from roles import places
from roles.checking import check_in_child
from roles.engines import check_role
from roles.listening import open_admin_socket
from roles.loop import run_on_fast_loop, stop_event_on
from roles.open_ports import announced

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run_admin(settings: Settings, arguments: argparse.Namespace) -> int:
    """The verb `admin`: the admin API; the segments are shipped where the proxies are."""
    del arguments
    check_role(settings, "admin")
    configure_logging(settings.log_format, "admin")
    refused = check_in_child(settings)
    if refused:
        return refused
    with HomeLock(settings.home):
        places.make_directories(settings)
        run_on_fast_loop(_administer(settings))
    return 0


def run_worker(settings: Settings, arguments: argparse.Namespace) -> int:
    """The verb `worker`: ships this home's segments into a ClickHouse server."""
    del arguments
    check_role(settings, "worker")
    configure_logging(settings.log_format, "worker")
    from roles.companion import work  # late: a refusal needs no engine

    places.make_directories(settings)
    run_on_fast_loop(work(settings, "worker", SIGNALS))
    return 0


async def _administer(settings: Settings) -> None:
    from roles.control import ControlProcess
    from roles.prepare import find_mock_url
    from roles.reporting import Reporter

    stop = stop_event_on(*SIGNALS)
    opened = open_admin_socket(settings)
    control = ControlProcess(settings, find_mock_url(settings), Reporter(None), has_proxies=False)
    try:
        await control.start()
        with announced(settings, "admin", opened):
            await control.run(opened, stop)
    finally:
        await control.close()
        opened.close()
