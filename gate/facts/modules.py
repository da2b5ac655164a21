"""What happens when the application's modules are imported in a clean interpreter, and which routes its application serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gate.errors import GateError
from gate.facts.interpreter import ask
from gate.facts.subject import ImportedModule, Route, Subject

__all__ = ["Import", "Modules", "read"]

TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """How one import went. `error` is empty when it succeeded, `kind` is the attribute's type, `effects` what it did besides."""

    wanted: ImportedModule
    error: str
    seconds: float
    present: bool
    kind: str
    effects: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Modules:
    """`imports` by role; `mounted` by route; `application_error` says why the application could not be built."""

    imports: Mapping[str, Import]
    application: str
    application_error: str
    mounted: Mapping[Route, bool]

    def of(self, role: str) -> Import:
        """Raises GateError when the subject names no module for that role."""
        try:
            return self.imports[role]
        except KeyError:
            raise GateError(f"no module was given for {role}; name it (modules.{role})") from None


def read(subject: Subject, *, timeout_s: float = TIMEOUT_S) -> Modules:
    """Imports the subject's modules one after the other in one interpreter, then builds its application.

    `subject.application` is `module:name` of an application with `.routes` (Starlette, FastAPI) or of a function that builds one.
    Raises GateError when no module is named, or nothing answers in time.
    """
    if not subject.modules:
        raise GateError("no modules to import were given; name those that the application uses (modules)")
    routes = [route for module in subject.modules for route in module.routes]
    found = ask(
        "gate.facts.import_probe",
        {
            "modules": [
                {"role": module.role, "module": _module(module), "attribute": module.name.partition(":")[2]}
                for module in subject.modules
            ],
            "folders": [str(path.absolute()) for path in subject.source_paths],
            "application": subject.application,
            "routes": [[route.method, route.path] for route in routes],
        },
        paths=subject.source_paths,
        timeout_s=timeout_s,
        what="importing the application's modules",
        environment=subject.application_environment,
    )
    application = found.get("application", {"error": "the subject names no application", "mounted": []})
    return Modules(
        imports={
            wanted.role: Import(
                wanted=wanted,
                error=seen["error"],
                seconds=seen["seconds"],
                present=seen["present"],
                kind=seen["kind"],
                effects=tuple(seen["effects"]),
            )
            for wanted, seen in zip(subject.modules, found["modules"], strict=True)
        },
        application=subject.application,
        application_error=application["error"],
        mounted=dict(zip(routes, application["mounted"], strict=not application["error"])),
    )


def _module(module: ImportedModule) -> str:
    name, _, attribute = module.name.partition(":")
    if not name or not attribute:
        raise GateError(f"the module for {module.role} is {module.name!r}; write package.module:name")
    return name
