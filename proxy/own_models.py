"""The models of a tenant that has provider keys or upstreams of its own.

Made by live.py once per snapshot, for such tenants alone; all others read the snapshot's models.
"""

from collections.abc import Iterator, Mapping

from policies.snapshot import Target

Models = Mapping[str, tuple[Target, ...]]


class OwnModels(Models):
    """Everybody's models with the tenant's own on top, and each target bound to its own key.

    `bound` says which door stands for an upstream; `routes` keeps what was put together.
    """

    def __init__(self, shared: Models) -> None:
        self._shared = shared
        self._own: dict[str, tuple[Target, ...]] = {}
        self._kept: dict[str, tuple[Target, ...]] = {}
        self.bound: dict[str, str] = {}
        self.routes: dict[tuple[str, ...], tuple[Target, ...]] = {}

    def add(self, upstream: str, models: Mapping[str, str]) -> None:
        """Take in what an upstream of the tenant serves; the first to serve a name is preferred."""
        for name, model in models.items():
            self._own[name] = (*self._own.get(name, ()), Target(upstream, model))

    def __getitem__(self, name: str) -> tuple[Target, ...]:
        targets = self._own.get(name) or self._kept.get(name)
        if targets is None:
            targets = self._kept[name] = tuple(
                Target(self.bound.get(each.upstream, each.upstream), each.model)
                for each in self._shared[name]
            )
        return targets

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._shared

    def __iter__(self) -> Iterator[str]:
        yield from self._shared
        yield from (name for name in self._own if name not in self._shared)

    def __len__(self) -> int:
        return sum(1 for _ in self)
