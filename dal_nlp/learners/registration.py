"""Makes transformers' Auto classes know ``HeadModel`` at ``import dal_nlp``, without importing transformers for that.

Where transformers is imported later, a hook waits for its two modules; importing it first would cost seconds, which
`dal-nlp --help` does not have.
"""

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType


def _register_config() -> None:
    from transformers import AutoConfig

    from dal_nlp.pretrained.head_config import HeadConfig

    AutoConfig.register(HeadConfig.model_type, HeadConfig, exist_ok=True)


def _register_model() -> None:
    import dal_nlp.pretrained.head_model  # noqa: F401 - which registers itself, also where it is what loads transformers


#: What is done once a module is there.
_AFTER: dict[str, Callable[[], None]] = {
    "transformers.models.auto.configuration_auto": _register_config,
    "transformers.models.auto.modeling_auto": _register_model,
}


class _Waiting(MetaPathFinder):
    """Finds a module of ``_AFTER`` as Python would, and has its follow-up done once it is loaded."""

    def __init__(self) -> None:
        self._busy: set[str] = set()

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the module's own spec with a loader around its loader."""
        if name not in _AFTER or name in self._busy:
            return None
        self._busy.add(name)
        try:
            spec = find_spec(name)
        finally:
            self._busy.discard(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, _AFTER[name])
        return spec


class _Loader(Loader):
    """Loads a module by its own loader, then does what follows."""

    def __init__(self, loader: Loader, after: Callable[[], None]) -> None:
        self._loader, self._after = loader, after

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return what the module's own loader makes."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, then what follows."""
        self._loader.exec_module(module)
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._after()


def register() -> None:
    """Register now what transformers has loaded already, and the rest when it is loaded; once."""
    if any(isinstance(finder, _Waiting) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _Waiting())
    for name, after in _AFTER.items():
        if name in sys.modules:
            after()
