"""The bodies that are sent: their size, and what makes each unique or each the same."""

import json

import pytest

from bench.gateways.apex_home import KEYS, RULES, header_of, placeholder_header, rules, tenant
from bench.gateways.scenarios import SCENARIOS, Scenario, body_of, find_scenario
from optimizer.session import opening_of


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_a_body_is_a_deterministic_chat_of_the_size_it_names(scenario: Scenario) -> None:
    body = body_of(scenario, "some-model")
    document = json.loads(body)
    assert document["model"] == "some-model"
    assert document["temperature"] == 0
    assert bool(document.get("stream")) is scenario.is_stream
    assert scenario.prompt_bytes < len(body) < scenario.prompt_bytes + 400
    assert (b"@@N@@" in body) is not scenario.is_repeated


def test_the_mock_is_told_to_wait() -> None:
    assert b"delay_us=50000 " in body_of(find_scenario("slow"), "m")
    assert b"delay_us" not in body_of(find_scenario("miss-1k"), "m")


def test_each_variant_of_a_repeated_body_is_a_session_of_its_own() -> None:
    scenario = find_scenario("hit-32k")
    openings = {opening_of(json.loads(body_of(scenario, "m", number))) for number in range(5)}
    assert len(openings) == 5


def test_ten_thousand_keys_and_fifty_rules_of_which_the_last_is_for_all() -> None:
    names = [rule["name"] for rule in rules()]
    assert len(names) == len(set(names)) == RULES == 50
    assert all("match" in rule for rule in rules()[:-1])
    assert "match" not in rules()[-1]
    secrets = {key["secret"] for number in range(10) for key in tenant(number)["keys"]}
    assert len(secrets) == KEYS == 10_000


def test_the_load_generator_writes_one_of_the_keys_into_the_placeholder() -> None:
    assert placeholder_header().replace("@@K@@", "00042") == header_of(42)
