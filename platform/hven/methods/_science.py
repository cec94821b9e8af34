"""What of the [science] extra a method needs, told before anything is computed."""

from importlib.util import find_spec

from hven.errors import MissingDependencyError


def require(*packages: str, what: str) -> None:
    """Raise MissingDependencyError when one of `packages`, which `what` computes with, is not installed."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise MissingDependencyError(
            f"{what} computes with {' and '.join(missing)}, which is not installed",
            hint="Install it with: pip install 'hven[science]'",
        )


def on_processor() -> bool:
    """Return whether JAX computes on processors, not on a GPU."""
    import jax

    return str(jax.default_backend()) == "cpu"
