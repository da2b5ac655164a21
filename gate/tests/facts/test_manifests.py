"""Settings are found in every form of manifest, what is only pointed at is told from what is written, no value is quoted."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gate.errors import GateError
from gate.facts.manifests import parse

COMPOSE = """
x-shared: &shared
  APP_ENV: production
services:
  database: { image: postgres, environment: { POSTGRES_PASSWORD: hunter2 } }
  backend:
    env_file: [ .env.shared, { path: .env.more, required: false } ]
    environment:
      <<: *shared
      PORT: 8000
      DEBUG: false
      JWT_ACCESS_SECRET: ${JWT_ACCESS_SECRET}
      LEVEL: ${LEVEL:-info}
      PRICE: "$$5"
      PASSED_ON:
"""
LIST = "services:\n  only:\n    environment:\n      - APP_ENV=production\n      - A=b=c\n      - PASSED_ON\n      - URL=https://$HOST/x\n"
RENDER = """
envVarGroups:
  - name: shared
    envVars: [ { key: APP_ENV, value: production } ]
services:
  - type: web
    name: api
    envVars:
      - fromGroup: shared
      - fromGroup: elsewhere
      - { key: JWT_ACCESS_SECRET, generateValue: true }
      - { key: DATABASE_URL, fromDatabase: { name: d, property: connectionString } }
      - { key: KEY, sync: false }
"""
KUBERNETES = """
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { APP_ENV: production }
---
apiVersion: v1
kind: Secret
metadata: { name: keys }
data: { API_KEY: aHVudGVyMg==, FILE: /w== }
---
apiVersion: batch/v1
kind: CronJob
metadata: { name: nightly }
spec:
  jobTemplate: { spec: { template: { spec: { containers: [ { name: job, env: [ { name: ONLY_JOB, value: x } ] } ] } } } }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  template:
    spec:
      containers:
        - name: backend
          envFrom: [ { configMapRef: { name: settings } }, { secretRef: { name: gone } } ]
          env:
            - { name: BASE_URL, value: "https://x" }
            - { name: JWT_ACCESS_SECRET, valueFrom: { secretKeyRef: { name: other, key: a } } }
            - { name: EVOLUTION_API_KEY, valueFrom: { secretKeyRef: { name: keys, key: API_KEY } } }
            - { name: NODE, valueFrom: { fieldRef: { fieldPath: spec.nodeName } } }
"""
VERCEL = '{"version": 2, "env": {"APP_ENV": "production", "KEY": "@key"}, "build": {"env": {"FLAG": "1"}}}'
RAILWAY = '[environments.production.variables]\nAPP_ENV = "production"\nKEY = "${{shared.KEY}}"\n'


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_docker_compose(tmp_path: Path) -> None:
    found = parse(written(tmp_path, "docker-compose.yml", COMPOSE))
    assert found.service == "backend"
    assert found.values == {"APP_ENV": "production", "PORT": "8000", "DEBUG": "false", "LEVEL": "info", "PRICE": "$5"}
    assert found.elsewhere == frozenset({"JWT_ACCESS_SECRET", "PASSED_ON"})
    assert found.files == (tmp_path / ".env.shared", tmp_path / ".env.more")
    listed = parse(written(tmp_path, "c.yml", LIST))
    assert (listed.values, listed.elsewhere) == ({"APP_ENV": "production", "A": "b=c"}, frozenset({"PASSED_ON", "URL"}))


def test_render(tmp_path: Path) -> None:
    found = parse(written(tmp_path, "render.yaml", RENDER))
    assert found.values == {"APP_ENV": "production"}
    assert found.elsewhere == {"JWT_ACCESS_SECRET", "DATABASE_URL", "KEY"}
    assert found.open_ended == ("the group elsewhere",)


def test_kubernetes(tmp_path: Path) -> None:
    found = parse(written(tmp_path, "k8s.yaml", KUBERNETES))
    assert found.service == "backend"
    assert found.values == {"APP_ENV": "production", "BASE_URL": "https://x", "EVOLUTION_API_KEY": "hunter2"}
    assert found.elsewhere == {"JWT_ACCESS_SECRET", "NODE"}
    assert found.open_ended == ("the Secret gone",)
    assert parse(tmp_path / "k8s.yaml", "job").values == {"ONLY_JOB": "x"}


def test_vercel_and_railway(tmp_path: Path) -> None:
    vercel = parse(written(tmp_path, "vercel.json", VERCEL))
    assert (vercel.values, vercel.elsewhere) == ({"APP_ENV": "production", "FLAG": "1"}, frozenset({"KEY"}))
    assert vercel.open_ended
    railway = parse(written(tmp_path, "railway.toml", RAILWAY))
    assert (railway.values, railway.elsewhere) == ({"APP_ENV": "production"}, frozenset({"KEY"}))


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.yml", "", "no deployment manifest that is known"),
        ("a.yml", "- 1", "no deployment manifest that is known"),
        ("a.yml", "a: [hunter2", "not well formed (line"),
        ("a.yml", "a: !!python/object/apply:os.system [hunter2]", "not well formed (line 1)"),
        ("a.json", '{"hunter2"', "not well formed (line 1)"),
        ("a.toml", "a = hunter2", "not well formed"),
        ("a.yml", "services: {a: {}, b: {}}", "which service is the backend? name one of a, b"),
        ("a.yml", "services: {}", "which service is the backend? name one of none"),
        ("a.yml", "services: {a: 1}", "the service a is no table"),
        ("a.yml", "services: {a: {environment: {A: {hunter2: 1}}}}", "A of a is a table, expected a text"),
        ("railway.toml", "[deploy]\nstartCommand = 'x'", "sets no environment variable"),
        ("k.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: x}", "holds no container"),
        ("a.json", "[" * 100_000, "not well formed"),
    ],
)
def test_what_cannot_be_read_is_one_line_without_a_value(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    with pytest.raises(GateError) as refused:
        parse(written(tmp_path, name, text))
    assert complaint in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_unknown_service_and_a_file_that_is_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(GateError, match="no service is called 'x'; there are backend, database"):
        parse(written(tmp_path, "c.yml", COMPOSE), "x")
    with pytest.raises(GateError, match="no such file"):
        parse(tmp_path / "gone.yml")


WORDS = [
    "services", "environment", "env", "envVars", "kind", "apiVersion", "spec", "template", "containers", "name", "data",
    "metadata", "valueFrom", "secretKeyRef", "envFrom", "variables", "key", "value",
]  # fmt: skip
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=15,
)


@given(anything)
def test_no_manifest_makes_the_reader_stumble(tmp_path_factory: pytest.TempPathFactory, document: object) -> None:
    import json

    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(document))
    try:
        found = parse(path)
    except GateError:
        return
    assert not set(found.values) & found.elsewhere
