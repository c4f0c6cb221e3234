"""The command line's verbs, against a running gateway and against none."""

import json
from pathlib import Path

import aiohttp
import pytest

from tests.gateway import ACME_CONFIG, Gateway, clean_environment, run_verb

pytestmark = pytest.mark.e2e


async def chat(gateway: Gateway, seed: int) -> str:
    """The request id of one answered call."""
    body = {
        "model": "gpt-4o-mini",
        "seed": seed,
        "messages": [{"role": "user", "content": "Say hello"}],
    }
    headers = {"Authorization": f"Bearer {gateway.api_key}", "x-apex-tags": "team=search"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{gateway.base_url}/chat/completions", json=body, headers=headers) as reply,
    ):
        assert reply.status == 200
        await reply.read()
        return reply.headers["x-apex-request-id"]


async def test_the_same_answers_while_it_runs_and_after(tmp_path: Path) -> None:
    async with Gateway(tmp_path, config=ACME_CONFIG) as gateway:
        ids = [await chat(gateway, seed) for seed in (1, 1, 2)]
        running = await ask_everything(gateway, ids[0])
        code, out, _ = await gateway.verb("purge")
        assert (code, out) == (0, "removed 2 answers from 1 of 1 proxies\n")
        code, _, err = await gateway.verb("purge", "--tenant", "acm")
        assert code == 2
        assert "did you mean acme?" in err
        code, out, _ = await gateway.verb("prices", "explain", "gpt-4o-mini")
        assert code == 0
        assert "1. gpt-4o-mini on mock (mock): agreed, list price of openai" in out
        assert await gateway.stop() == 0
        assert await ask_everything(gateway, ids[0]) == running
        code, _, err = await gateway.verb("purge")
        assert code == 2
        assert "no gateway runs" in err
    usage, by_tag, by_key, nobodys, detail, conservation = running
    assert [line.split()[0] for line in by_key.splitlines()[2::2]] == ["acme/app", "total"]
    assert nobodys == "no usage in this period\n"
    assert "acme/app" in detail
    assert usage.splitlines()[2].split()[:3] == ["gpt-4o-mini", "3", "1"]
    assert usage.splitlines()[-1].startswith("total")
    assert [row["tag"] for row in json.loads(by_tag)["rows"]] == ["team=search"]
    assert json.loads(by_tag)["totals"]["requests"] == 3
    assert ids[0] in detail
    assert "team=search" in detail
    assert conservation.splitlines()[-1] == "exact"


async def ask_everything(gateway: Gateway, request_id: str) -> tuple[str, ...]:
    answers = []
    for words in (
        ("usage",),
        ("usage", "--group-by", "tag", "--json", "--from", "2020-01-01", "--to", "2100-01-01"),
        ("usage", "--group-by", "key", "--tenant", "acme"),
        ("usage", "--tenant", "globex"),
        ("requests", request_id),
        ("conservation",),
    ):
        code, out, err = await gateway.verb(*words)
        assert code == 0, f"{words}: {out}{err}"
        answers.append(out)
    return tuple(answers)


@pytest.mark.parametrize("is_running", [True, False])
async def test_bad_questions_are_refused_with_a_hint(tmp_path: Path, is_running: bool) -> None:
    async with Gateway(tmp_path) as gateway:
        if not is_running:
            await gateway.stop()
        for words, said in (
            (("usage", "--group-by", "modle"), "did you mean model?"),
            (("usage", "--from", "yesterday"), "2026-11-01"),
            (("usage", "--from", "2026-02-01", "--to", "2026-01-01"), "half-open"),
            (("requests", "nothing/like it"), "x-apex-request-id"),
        ):
            code, out, err = await gateway.verb(*words)
            assert (code, out) == (2, "")
            assert err.startswith("error: ")
            assert said in err.split("hint: ")[1]


async def test_a_place_without_gateway_is_said_so(tmp_path: Path) -> None:
    code, _, err = await run_verb("usage", environ=clean_environment(tmp_path / "none", {}))
    assert code == 2
    assert "there is no gateway in" in err
    assert not (tmp_path / "none").exists()


async def test_migrate_and_prices_work_before_the_first_start(tmp_path: Path) -> None:
    environ = clean_environment(tmp_path / ".apex", {})
    for _ in range(2):
        code, out, err = await run_verb("migrate", environ=environ)
        assert code == 0, f"{out}{err}"
        assert "SQL store: up to date" in out
    assert "columnar store: up to date" in out
    code, out, _ = await run_verb("prices", "explain", "gpt-4o-mini", environ=environ)
    assert code == 0
    assert "openai/gpt-4o-mini: agreed" in out
    declared = tmp_path / "apex.yaml"
    declared.write_text(
        "upstreams: {local: {kind: openai, base_url: 'http://127.0.0.1:9/v1', allow_private: true}}"
        "\nmodels: {house: {upstreams: [{upstream: local, model: llama}]}}\n"
    )
    environ["APEX_CONFIG"] = str(declared)
    code, out, _ = await run_verb("prices", "explain", "house", environ=environ)
    assert code == 0
    assert "1. llama on local (127.0.0.1): unknown" in out
    assert "private host without a declared price" in out
    del environ["APEX_CONFIG"]
    code, out, _ = await run_verb("conservation", environ=environ)
    assert (code, out.splitlines()[-1]) == (0, "exact")


@pytest.mark.parametrize("role", ["admin", "worker"])
async def test_half_a_control_plane_is_refused(tmp_path: Path, role: str) -> None:
    code, _, err = await run_verb(role, environ=clean_environment(tmp_path / ".apex", {}))
    assert code == 2
    assert "APEX_COLUMNAR_URL" in err
