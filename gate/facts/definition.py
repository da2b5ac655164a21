"""Everything that defines a Postgres schema, by name, so that two of them can be compared and what differs can be said."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

__all__ = ["differences", "digest", "read"]


def read(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """What each table, column, constraint, index, trigger, policy, function, view, type and sequence is, by its name."""
    found = {}
    for kind, query in _PARTS.items():
        for name, text in connection.execute(query).fetchall():
            found[f"{kind} {name}"] = str(text)
    return found


def digest(definition: Mapping[str, str]) -> str:
    """SHA-256 in hex; two schemas are alike when theirs are equal. The order of columns has no part in it."""
    lines = "\n".join(f"{name}\t{text}" for name, text in sorted(definition.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def differences(left: Mapping[str, str], right: Mapping[str, str]) -> Iterator[str]:
    """One sentence for each: `right` is what was found, `left` what was expected."""
    for name in sorted(left.keys() | right.keys()):
        if name not in right:
            yield f"{name} is missing"
        elif name not in left:
            yield f"{name} was not expected"
        elif left[name] != right[name]:
            yield f"{name} is {right[name]}, expected {left[name]}"


_OWN = "n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'"
_NAME = "CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END"
_OF_RELATION = "JOIN pg_catalog.pg_class c ON c.oid = {key} JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
_PARTS = {
    "table": f"""SELECT {_NAME} || c.relname,
        concat_ws(' ', c.relkind, c.relpersistence, CASE WHEN c.relrowsecurity THEN 'row security' END,
                  CASE WHEN c.relforcerowsecurity THEN 'forced' END)
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE {_OWN} AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')""",
    "column": f"""SELECT {_NAME} || c.relname || '.' || a.attname,
        concat_ws(' ', pg_catalog.format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                  'DEFAULT ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid), nullif(a.attidentity::text, ''),
                  nullif(a.attgenerated::text, ''))
        FROM pg_catalog.pg_attribute a {_OF_RELATION.format(key="a.attrelid")}
        LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE {_OWN} AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped""",
    "constraint": f"""SELECT {_NAME} || c.relname || '.' || o.conname,
        pg_catalog.pg_get_constraintdef(o.oid) || CASE WHEN o.convalidated THEN '' ELSE ' (not validated)' END
        FROM pg_catalog.pg_constraint o {_OF_RELATION.format(key="o.conrelid")} WHERE {_OWN}""",
    "index": f"""SELECT {_NAME} || x.relname, pg_catalog.pg_get_indexdef(i.indexrelid)
        || CASE WHEN i.indisvalid AND i.indisready THEN '' ELSE ' (invalid)' END
        FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid {_OF_RELATION.format(key="i.indrelid")}
        WHERE {_OWN}""",
    "trigger": f"""SELECT {_NAME} || c.relname || '.' || t.tgname, pg_catalog.pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text
        FROM pg_catalog.pg_trigger t {_OF_RELATION.format(key="t.tgrelid")} WHERE {_OWN} AND NOT t.tgisinternal""",
    "policy": f"""SELECT {_NAME} || c.relname || '.' || p.polname,
        concat_ws(' ', p.polpermissive, p.polcmd, p.polroles::regrole[], pg_catalog.pg_get_expr(p.polqual, p.polrelid),
                  pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
        FROM pg_catalog.pg_policy p {_OF_RELATION.format(key="p.polrelid")} WHERE {_OWN}""",
    "function": f"""SELECT {_NAME} || p.proname || '(' || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')',
        md5(pg_catalog.pg_get_functiondef(p.oid))
        FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
        WHERE {_OWN} AND p.prokind IN ('f', 'p')""",
    "view": f"""SELECT {_NAME} || c.relname, md5(pg_catalog.pg_get_viewdef(c.oid)) FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {_OWN} AND c.relkind IN ('v', 'm')""",
    "type": f"""SELECT {_NAME} || t.typname, (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder)
        FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid)
        FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE {_OWN} AND t.typtype = 'e'""",
    "rights": f"""SELECT {_NAME} || c.relname, coalesce(c.relacl::text, '') FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE {_OWN} AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')""",
}
