"""GET /health, /health/ready, /health/metrics of the control process.

The control process is never in the way of traffic: a dependency that is away degrades it.
"""

import asyncio
from typing import Any

from aiohttp import web

from admin_api.answers import json_response
from admin_api.calls import ACTOR, check_permission
from admin_api.context import CONTEXT, DependencyState
from admin_api.permissions import Permission
from config.metrics import render_metrics

METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def show_live(_: web.Request) -> web.Response:
    """The process answers."""
    return json_response({"status": "ok", "role": "control"})


async def show_ready(request: web.Request) -> web.Response:
    """Each dependency with its state; 503 only when nothing can be served from here."""
    states = await request.app[CONTEXT].check_dependencies()
    is_fatal = any(state.is_fatal and not state.is_ok for state in states.values())
    is_ok = all(state.is_ok for state in states.values())
    status = "unavailable" if is_fatal else "ok" if is_ok else "degraded"
    document = {
        "status": status,
        "role": "control",
        "dependencies": {name: _describe(state) for name, state in states.items()},
    }
    return json_response(document, 503 if is_fatal else 200)


async def show_metrics(request: web.Request) -> web.Response:
    """Prometheus text, the metrics of every process of this home added up; all tenants' figures."""
    if ACTOR in request:  # not where only this machine can ask
        check_permission(request[ACTOR], Permission.operate, None)
    metrics = request.app[CONTEXT].metrics
    text = await asyncio.to_thread(render_metrics, metrics.path.parent, metrics)
    return web.Response(body=text.encode(), headers={"Content-Type": METRICS_CONTENT_TYPE})


def _describe(state: DependencyState) -> dict[str, Any]:
    return {"status": "ok" if state.is_ok else "degraded", **state.facts}
