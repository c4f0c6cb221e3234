"""Health of the control process."""

from admin_api.context import DependencyState
from tests.admin_api.conftest import Admin


async def test_live_and_ready(admin: Admin) -> None:
    assert await admin.ask("/health", headers={}) == (200, {"status": "ok", "role": "control"})
    status, document = await admin.ask("/health/ready", headers={})
    assert status == 200
    assert document["status"] == "ok"
    assert document["dependencies"] == {"sql": {"status": "ok"}}


async def test_a_dependency_that_is_away_degrades_and_serving_goes_on(admin: Admin) -> None:
    admin.states["columnar"] = DependencyState(is_ok=False, facts={"reason": "no answer in time"})
    status, document = await admin.ask("/health/ready")
    assert (status, document["status"]) == (200, "degraded")
    assert document["dependencies"]["columnar"] == {
        "status": "degraded",
        "reason": "no answer in time",
    }


async def test_what_cannot_be_done_without_is_503(admin: Admin) -> None:
    admin.states["snapshot"] = DependencyState(is_ok=False, is_fatal=True)
    status, document = await admin.ask("/health/ready")
    assert (status, document["status"]) == (503, "unavailable")


async def test_metrics_are_prometheus_text(admin: Admin) -> None:
    status, text = await admin.ask("/health/metrics", headers={})
    assert status == 200
    assert "# TYPE apex_ship_lag_seconds gauge" in text
