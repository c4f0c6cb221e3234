"""Whatever fits the OpenAPI document is answered as it says, and what does not is refused.

schemathesis makes the calls, against a whole gateway; the long version makes many more.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from admin_api.app import RESOURCES
from admin_api.openapi import describe_api
from tests.gateway import ACME_CONFIG, Gateway

pytestmark = pytest.mark.e2e
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    ignored_auth,
    unsupported_method,
)
SCHEMA = schemathesis.openapi.from_dict(describe_api(RESOURCES))


def some(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for all calls: what some of them make, others meet."""
    started = Gateway(tmp_path_factory.mktemp("gateway"), config=ACME_CONFIG)
    with asyncio.Runner() as runner:
        runner.run(started.start())
        try:
            yield started
        finally:
            runner.run(started.stop())


def prove(case: Case[Any], gateway: Gateway) -> None:
    headers = {"Authorization": f"Bearer {gateway.admin_token}"}
    case.call_and_validate(base_url=gateway.admin_url, headers=headers, checks=list(CHECKS))


@SCHEMA.parametrize()
@some(4)
def test_every_route_answers_as_described(case: Case[Any], gateway: Gateway) -> None:
    prove(case, gateway)


@pytest.mark.long
@pytest.mark.timeout(1800)
@SCHEMA.parametrize()
@some(150)
def test_every_route_answers_as_described_at_length(case: Case[Any], gateway: Gateway) -> None:
    prove(case, gateway)
