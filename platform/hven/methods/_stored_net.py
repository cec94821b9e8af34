"""How a network is taken apart and built again: its static fields are its spec, everything else is its weights."""

from dataclasses import fields
from typing import Any, ClassVar, Self

import equinox as eqx

from hven.methods.models import leaves, untrained, with_leaves


class StoredNet(eqx.Module):
    """A network that `hven.methods.models` saves.

    A subclass names its `kind`; each of its static fields is an argument of its constructor by the same name, and the
    other arguments matter for nothing but the first weights.
    """

    kind: ClassVar[str]

    def spec(self) -> dict[str, Any]:
        """Return what `hven.methods.models` needs to build the network again, but for its weights."""
        names = [field.name for field in fields(self) if field.metadata.get("static")]
        return {"kind": self.kind, **{name: getattr(self, name) for name in names}}

    def arrays(self) -> dict[str, Any]:
        """Return the weights by path."""
        return leaves(self)

    @classmethod
    def build(cls, arrays: dict[str, Any], spec: dict[str, Any]) -> Self:
        """Return the network that `spec` and `arrays` describe."""
        net: Self = with_leaves(untrained(spec), arrays)
        return net
