"""Planted secrets of this field in every place where one has been found, and decoys that look like them."""

# ruff: noqa: E501 – a sample reads best in one line

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass

from gate.facts.planted import Planted

__all__ = ["Sample", "decoys", "secrets"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """`path` decides which rules hold; `secret` is empty for a decoy."""

    name: str
    path: str
    content: bytes
    secret: str = ""


def secrets(seed: int = 1) -> Iterator[Sample]:
    """One secret each."""
    made = Planted(seed)
    kinds = {
        "EVOLUTION_API_KEY": made.evolution_key, "AUTHENTICATION_API_KEY": made.instance_token,
        "JWT_ACCESS_SECRET": made.signing_secret, "SUPABASE_SERVICE_ROLE_KEY": made.service_role, "DB_PASSWORD": made.password,
        "GITHUB_TOKEN": made.github, "RAILWAY_TOKEN": made.railway, "RENDER_API_KEY": made.render, "VERCEL_TOKEN": made.vercel,
        "STRIPE_SECRET": made.stripe, "WEBHOOK_SECRET": made.signing_secret,
    }  # fmt: skip
    for name, make in kinds.items():
        camel = name.split("_")[0].lower() + "".join(part.title() for part in name.split("_")[1:])
        for where, path, text in (
            ("env", ".env.production", "# production\nPORT=3000\n{name}={value}\n"),
            ("env, exported in quotes", "deploy/env.prod", 'export {name}="{value}"\n'),
            ("python", "app/settings.py", "import os\n\n{name} = '{value}'\n"),
            ("python, annotated", "app/config.py", '{name}: Final[str] = "{value}"\n'),
            ("python, a default", "app/reads.py", 'import os\n\nkey = os.getenv("{name}", "{value}")\n'),
            ("behind a comment", "app/client.py", "# {name} = '{value}'  (old one)\nkey = os.environ['{name}']\n"),
            ("typescript", "src/config.ts", "export const {camel}: string = '{value}';\n"),
            ("javascript, commented", "src/old.js", '/* headers: {{ "{camel}": "{value}" }} */\n'),
            ("yaml", "deploy/values.yaml", "backend:\n  env:\n    {name}: {value}\n"),
            ("yaml, a block", "deploy/block.yml", "{name}: |\n    {value}\nother: 1\n"),
            ("compose", "docker-compose.yml", "services:\n  api:\n    environment:\n      - {name}={value}\n"),
            ("json", "config.json", '{{"a": 1, "{camel}": "{value}"}}\n'),
            ("json, on two lines", "pretty.json", '{{\n  "{camel}":\n    "{value}"\n}}\n'),
            ("json in json", "export.json", '{{"body": "{{\\"{camel}\\":\\"{value}\\"}}"}}\n'),
            ("notebook", "notes.ipynb", '{{"cells": [{{"source": ["{name} = \\"{value}\\"\\n", "run()"]}}]}}\n'),
            ("minified", "static/app.min.js", '!function(){{var e={{}};e.b=1;e.{camel}="{value}",e.c=2}}();\n'),
            ("dockerfile", "Dockerfile", "FROM python:3.13\nENV {name}={value}\n"),
            ("shell", "deploy.sh", "#!/bin/sh\n{name}='{value}' ./run\n"),
            ("toml", "railway.toml", '[deploy]\n{name} = "{value}"\n'),
            ("ini", "app.ini", "[main]\n{lower} = {value}\n"),
            ("markdown", "docs/setup.md", "Set `{name}={value}` and start.\n"),
            ("notes", "notes.txt", "{name}: {value}\n"),
            ("sql", "seed.sql", "-- {name}={value}\nSELECT 1;\n"),
            ("html", "page.html", '<script>window.cfg = {{{camel}: "{value}"}}</script>\n'),
            ("log", "backend.log", '{{"level":"debug","{camel}":"{value}"}}\n'),
            ("php", "config.php", "<?php return ['{lower}' => '{value}'];\n"),
            ("go", "main.go", 'const {camel} = "{value}"\n'),
        ):
            value = make()
            shown = text.format(name=name, camel=camel, lower=name.lower(), value=value)
            yield Sample(name=f"{name}, {where}", path=path, content=shown.encode(), secret=value)
        value = make()
        yield Sample(name=f"{name}, utf-16", path="export.txt", content=f"{name}={value}\r\n".encode("utf-16"), secret=value)
        value = make()
        wrapped = base64.b64encode(f"{name}={value}\nA=1\n".encode()).decode()
        yield Sample(name=f"{name}, base64", path="ci.yml", content=f"file: {wrapped}\n".encode(), secret=value)
    yield from _of_their_own_shape(made)
    yield from _of_other_ecosystems(made)


def _of_their_own_shape(made: Planted) -> Iterator[Sample]:
    for number in range(6):
        for name, path, value, text in (
            ("database url", "src/db.ts", made.database_url(), "export const pool = new Pool('{value}')\n"),
            ("database url, commented", "app/db.py", made.database_url(), "# engine = create_engine('{value}')\n"),
            ("database url, driver", "alembic.ini", made.database_url(), "sqlalchemy.url = postgresql+psycopg{rest}\n"),
            ("webhook url", "docs/webhook.md", made.webhook_url(), "curl -X POST {value} -d '{{}}'\n"),
            ("webhook url, json", "instance.json", made.webhook_url(), '{{"webhook": {{"url": "{value}"}}}}\n'),
            ("service role", "src/admin.ts", made.service_role(), "createClient(url, '{value}')\n"),
            ("service role, minified", "dist/app.js", made.service_role(), "a=1;createClient(u,`{value}`);b=2\n"),
            ("token", "test.http", made.json_web_token(), "GET /admin/units\nAuthorization: Bearer {value}\n"),
            ("aws", "terraform.tf", made.aws(), 'access_key = "{value}"\n'),
            ("lockfile", "package-lock.json", made.github(), '{{"resolved": "git+https://x:{value}@github.com/a/b.git"}}\n'),
            ("npmrc", ".npmrc", made.text(36), "//registry.internal/:_authToken={value}\n"),
            ("private key", "server.pem", made.private_key(), "{value}\n"),
            ("private key in json", "account.json", made.private_key(), '{{"private_key": {quoted}}}\n'),
            ("apikey header", "postman.json", made.instance_token(), '{{"key": "apikey", "x": {{"apikey": "{value}"}}}}\n'),
            (
                "apikey header, curl",
                "README.md",
                made.evolution_key(),
                "curl -H 'apikey: {value}' $URL/instance/fetchInstances\n",
            ),
            ("stripe", "billing.rb", made.stripe(), "Stripe.api_key = '{value}'\n"),
            ("phone", "exports/customers.csv", made.phone(), "name,phone\nAna,{value}\n"),
            ("phone, log", "evolution.log", made.phone(), "message to {value}@s.whatsapp.net\n"),
            ("docker auth", "config.yml", made.password(), "registry: https://ci:{value}@registry.internal/v2\n"),
        ):
            shown = text.format(value=value, rest=value.partition("postgresql")[2], quoted=json.dumps(value))
            yield Sample(name=f"{name} {number}", path=path, content=shown.encode(), secret=value)
    for number in range(3):
        value = made.github()
        content = b"SQLite format 3\0" + bytes(range(256)) * 20 + value.encode() + b"\0" * 50
        yield Sample(name=f"binary {number}", path="cache.sqlite", content=content, secret=value)


def _of_other_ecosystems(made: Planted) -> Iterator[Sample]:
    digits, hexadecimal = "0123456789", "0123456789abcdef"
    django = "abcdefghijklmnopqrstuvwxyz0123456789!@#^&*-_=+"
    for name, path, value, text in (
        ("django", "mysite/settings.py", made.text(24, django) + ")" + made.text(25, django), "SECRET_KEY = '{value}'\n"),
        ("django, as it began", "mysite/settings.py", "django-insecure-" + made.text(50, django), "SECRET_KEY = '{value}'\n"),
        (
            "django, a default",
            "settings.py",
            made.text(24, django) + "(" + made.text(25, django),
            "SECRET_KEY = env('SECRET_KEY', '{value}')\n",
        ),
        ("pydantic", "settings.py", made.signing_secret(), "    jwt_secret: SecretStr = Field(default='{value}')\n"),
        ("pieces of a text", "keys.py", made.text(16), "API_KEY = (\n    '{value}'\n    'and more'\n)\n"),
        ("nodemailer", "mail.js", made.text(20), "auth: {{ user: 'app', pass: '{value}' }}\n"),
        ("a short name", "prod.env", made.text(20), "DB_PASS={value}\n"),
        ("in portuguese", "config.py", made.text(32), "CHAVE_API = '{value}'\n"),
        ("rails", "config/secrets.rb", made.text(64, hexadecimal), "config.secret_key_base = '{value}'\n"),
        ("rails, its key", "config/master.key", made.text(32, hexadecimal), "{value}\n"),
        (
            "postman",
            "evolution.postman_environment.json",
            made.text(32),
            '{{"values": [{{"key": "apiKey", "value": "{value}", "enabled": true}}]}}\n',
        ),
        ("har", "session.har", made.text(32), '{{"headers": [{{"name": "apikey", "value": "{value}"}}]}}\n'),
        ("kubernetes", "k8s/deployment.yaml", made.text(40), '        - name: JWT_SECRET\n          value: "{value}"\n'),
        ("render", "render.yaml", made.text(40), "  - key: JWT_ACCESS_SECRET\n    value: {value}\n"),
        ("terraform", "main.tf", made.text(20), 'variable "db_password" {{\n  type = string\n  default = "{value}"\n}}\n'),
        ("property list", "Info.plist", made.text(32), "<key>apiKey</key>\n<string>{value}</string>\n"),
        ("dockerfile of old", "Dockerfile", made.text(40), "FROM node\nENV JWT_ACCESS_SECRET {value}\n"),
        ("fish", "env.fish", made.text(32), "set -x API_TOKEN {value}\n"),
        ("make", "Makefile", made.text(32), "export API_TOKEN := {value}\n"),
        ("netrc", ".netrc", made.text(20), "machine git.internal login ci password {value}\n"),
        ("pgpass", ".pgpass", made.text(20), "db.internal:5432:app:app:{value}\n"),
        ("docker", ".docker/config.json", made.text(32), '{{"auths": {{"registry.internal": {{"auth": "{value}"}}}}}}\n'),
        ("htpasswd", ".htpasswd", "$2y$05$" + made.text(53), "admin:{value}\n"),
        ("htpasswd of old", ".htpasswd", "$apr1$" + made.text(8) + "$" + made.text(22), "admin:{value}\n"),
        ("putty", "deploy.ppk", made.text(64), "Encryption: none\nPrivate-Lines: 1\n{value}\n"),
        ("sql server", "appsettings.json", made.text(20), '{{"Default": "Server=db;User Id=sa;Password={value};"}}\n'),
        ("a role", "init.sql", made.text(20), "CREATE ROLE app LOGIN PASSWORD '{value}';\n"),
        ("curl", "deploy.sh", made.text(20), "curl -fsS -u ci:{value} https://registry.internal/v2/\n"),
        ("mysql", "backup.sh", made.text(20), "mysqldump -u root -p{value} app > dump.sql\n"),
        ("a query", "client.py", made.text(40), "get('https://api.internal/x?access_token={value}')\n"),
        ("azure", "upload.py", made.text(43), "URL = 'https://a.blob.internal/c?sv=2022&sig={value}%3D'\n"),
        ("discord", "notify.py", made.text(68), f"HOOK = 'https://discord.com/api/webhooks/{made.text(18, digits)}/{{value}}'\n"),
        ("twilio", "sms.py", made.text(32, hexadecimal), f"Client('AC{made.text(32, hexadecimal)}', '{{value}}')\n"),
        ("digital ocean", "deploy.sh", "dop_v1_" + made.text(64, hexadecimal), "doctl auth init -t {value}\n"),
        ("vault", "unseal.sh", "hvs." + made.text(90), "vault login {value}\n"),
        ("asaas", "billing.ts", "$aact_prod_" + made.text(120), "headers: {{ access_token: '{value}' }}\n"),
        (
            "mercado pago",
            "billing.js",
            f"APP_USR-{made.text(16, digits)}-{made.text(6, digits)}-{made.text(32, hexadecimal)}",
            "configure('{value}')\n",
        ),
    ):
        yield Sample(name=f"elsewhere, {name}", path=path, content=text.format(value=value).encode(), secret=value)


def decoys() -> Iterator[Sample]:
    """What a scanner is often wrong about. None is a secret."""
    made = Planted(99)
    hexadecimal = made.text(64, "0123456789abcdef")
    integrity = base64.b64encode(made.text(64).encode()).decode()
    public = base64.b64encode(made.text(300).encode()).decode()
    for name, path, text in (
        ("a placeholder", ".env.example", "EVOLUTION_API_KEY=your-api-key-here\nJWT_ACCESS_SECRET=change-me-to-32-characters-or-more\n"),
        ("an empty value", ".env.example", "EVOLUTION_API_KEY=\nDB_PASSWORD=\n"),
        ("angle brackets", "README.md", "Set `DB_PASSWORD=<your password>` and `API_KEY=<key>`.\n"),
        ("stars", "README.md", "password: ************\ntoken = xxxxxxxxxxxxxxxx\n"),
        ("a variable of the shell", "deploy.sh", 'PGPASSWORD="$DB_PASSWORD" psql\nTOKEN=${RAILWAY_TOKEN}\nAPI_KEY=$(cat key)\n'),
        ("a secret of CI", "ci.yml", "env:\n  token: ${{ secrets.GITHUB_TOKEN }}\n  password: ${{ secrets.DB_PASSWORD_2024 }}\n"),
        ("a template", "values.yaml", "password: {{ .Values.database.password1 }}\nsecret: '{{ lookup(\"env\", \"S3CRET\") }}'\n"),
        ("from the environment", "app.py", "api_key = os.environ['EVOLUTION_API_KEY_2']\npassword = os.getenv('DB_PASSWORD_V1')\n"),
        ("from the environment in node", "app.ts", "const apiKey: string = process.env.EVOLUTION_API_KEY_V2 ?? '';\nconst token = env.TOKEN1;\n"),
        ("a call", "app.py", "token = create_access_token(user.id)\npassword = getpass.getpass('Password: ')\nsecret = secrets.token_urlsafe(32)\n"),
        ("an annotation", "app.py", "def login(email: str, password: str, token: str | None = None) -> TokenPair: ...\n"),
        ("a field's name", "app.py", 'headers["x-api-key"] = key\nbody["access_token"] = "refresh_token"\nPASSWORD_FIELD = "password_hash"\n'),
        ("a reference", "k8s/deployment.yaml", "- name: JWT_SECRET\n  valueFrom:\n    secretKeyRef:\n      name: backend-secrets-v2\n      key: jwt\n"),
        ("a variable of postman", "api.postman_collection.json", '{"key": "apikey", "value": "{{evolution_api_key}}", "type": "string"}\n'),
        ("a default that is none", "main.tf", 'variable "db_password" {\n  type = string\n  sensitive = true\n}\nvariable "region" {\n  default = "sa-east-1a-long"\n}\n'),
        ("a password on the command line", "deploy.sh", 'curl -u "$USER:$PASSWORD" $URL\nmysql -u root -p"$MYSQL_PWD" app\ncurl --user app:${TOKEN} x\n'),
        ("a query with a place", "client.ts", "fetch(`https://api.internal/x?access_token=${token}&api_key={api_key}&key=messages_by_conversation_id`)\n"),
        ("from a cache", "app.py", "token = cache.get('session_token_of_user')\nsecret = load('webhook-secret-name')\npass_ = config('DB_PASS_V2')\n"),
        ("a mode of a build", "Dockerfile", "ENV PATH_TO_KEY /etc/ssl/private/server.key\nENV TOKEN_ISSUER accounts-service\n"),
        ("a rule of a form", "schema.json", '{"name": "password", "value": "", "minLength": 12}\n{"name": "token", "value": "string"}\n'),
        ("a statement", "roles.sql", "ALTER ROLE app PASSWORD :'app_password';\nALTER ROLE app PASSWORD NULL;\n"),
        ("a label", "form.tsx", '<input type="password" placeholder="Enter your password" name="current_password" />\n'),
        ("a message", "errors.ts", 'throw new Error("invalid token: the API key was not accepted by the server")\n'),
        ("a message in portuguese", "erros.ts", 'const senha = "Digite sua senha para continuar";\n'),
        ("a digest", "checksums.txt", f"{hexadecimal}  golive-0.1.0.whl\n"),
        ("integrity", "package-lock.json", f'{{"resolved": "https://registry.npmjs.org/a/-/a-1.0.0.tgz", "integrity": "sha512-{integrity}"}}\n'),
        ("hashes of a lock", "requirements.txt", f"httpx==0.28.1 \\\n    --hash=sha256:{hexadecimal}\n"),
        ("a commit", "CHANGELOG.md", f"- fixed in {hexadecimal[:40]}\n"),
        ("an id", "seed.sql", f"INSERT INTO units (id) VALUES ('{made.railway()}');\n"),
        ("an id in json", "unit.json", f'{{"unitId": "{made.railway()}", "requestId": "{made.railway()}"}}\n'),
        ("the anonymous key", "supabase.ts", f"export const anon = '{made.json_web_token('anon')}';\n"),
        ("a public key", "key.pub", f"-----BEGIN PUBLIC KEY-----\n{public[:64]}\n-----END PUBLIC KEY-----\n"),
        ("the header of a key alone", "app.py", 'if text.startswith("-----BEGIN PRIVATE KEY-----"):\n    load(text)\n'),
        ("a picture", "page.html", f'<img src="data:image/png;base64,{public}">\n'),
        ("a database without a password", "app.py", 'url = "postgresql://app@db.internal:5432/app"\nother = "redis://localhost:6379/0"\n'),
        ("a password of an example", "docker-compose.yml", "DATABASE_URL: postgresql://postgres:postgres@db:5432/postgres\n"),
        ("a masked url", "log.txt", "connecting to postgresql://app:***@db.internal/app\n"),
        ("a url with a port", "nginx.conf", "proxy_pass http://backend:8080/api@v2;\n"),
        ("a route", "routes.py", '@router.post("/webhooks/whatsapp/{provider}/{secret}")\n@router.post("/webhooks/whatsapp-evolution-callback")\n'),
        ("a masked log", "backend.log", '{"apikey":"[MASKED]","phone":"****9999","authorization":"Bearer [MASKED]"}\n'),
        ("a phone of an example", "customers.csv", "name,phone\nAna,5511999999999\nBia,5511912345678\n"),
        ("a moment", "times.csv", "at\n1760000000000\n55119\n"),
        ("a translation", "pt.json", '{"passwordLabel": "Senha de acesso", "tokenExpired": "O token expirou, entre novamente"}\n'),
        ("a class", "style.css", ".password-input-wrapper { color: #a1b2c3 }\n.token-list { margin: 0 }\n"),
        ("a regular expression", "rules.ts", "const token = /[A-Za-z0-9]{32}/;\nconst secretPattern = '^[0-9a-f]{32}$';\n"),
        ("a path", "app.ini", "secret_file = /run/secrets/jwt_access_2024\npassword_file: ./secrets/db1.txt\n"),
        ("a name of a secret", "k8s.yaml", "secretName: backend-secrets-v2\nsecretKeyRef:\n  key: jwt-access-secret\n  name: backend-env-1\n"),
        ("a number", "limits.yaml", "max_tokens: 4096000000\ntoken_ttl_seconds: 15000000\n"),
        ("a type of a schema", "openapi.yaml", "accessToken:\n  type: string\npassword:\n  type: string\n  minLength: 12\n"),
        ("a selector", "test.js", "await page.fill('input[name=password]', user.password1);\n"),
        ("an import", "app.ts", "import { hashPassword2 } from './password-hasher-v2';\nconst secretsManager = new SecretsManagerClient({});\n"),
        ("allowed with a reason", "test.py", f'TOKEN = "{made.github()}"  # golive:allow github-token: made for this test, opens nothing\n'),
        ("words after bearer", "docs.md", "Authorization: Bearer <token>. The bearer authentication-scheme-of-this-service is described above.\n"),
        ("a docker image", "compose.yml", f"image: registry.internal/api@sha256:{hexadecimal}\n"),
        ("typescript types", "types.ts", "interface Login { password: string; accessToken?: string; apiKey: SecretString }\n"),
        ("sql columns", "schema.sql", "password_hash text NOT NULL,\ntoken_hash text DEFAULT 'sha256-of-the-token' NOT NULL,\n"),
        ("keyboard", "app.js", "if (event.key === 'ArrowDown1') { api.keys = ['id1234567'] }\n"),
        ("a test's value", "conftest.py", 'PASSWORD = "test-password-1"\nAPI_KEY = "fake-key-0123456789"\n'),
        ("a version", "pyproject.toml", 'token = { version = "1.2.3" }\nsecretstorage = "3.3.3"\n'),
    ):  # fmt: skip
        yield Sample(name=name, path=path, content=text.encode())
