"""Renders the templates of jinja-cases.json, and those given in further files, with Python's jinja2 and writes the table anew.

Usage: python make_jinja_cases.py jinja-cases.json [MORE.txt ...]      (MORE: templates separated by lines of four dashes)

The environment is the one in which transformers renders chat templates: immutable sandbox, trim_blocks, lstrip_blocks, loop controls,
the `generation` tag, `tojson` without HTML escaping, `raise_exception`, `strftime_now` (fixed here). Needs jinja2 3.1.
"""
import datetime
import json
import sys

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime.datetime(2025, 7, 6, 9, 5, 3)


class Generation(jinja2.ext.Extension):
    """{% generation %} ... {% endgeneration %} renders its body."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


def render(env, template, variables):
    try:
        return {"template": template, "ok": env.from_string(template).render(**variables)}
    except Exception as e:
        return {"template": template, "err": f"{type(e).__name__}: {e}"[:200]}


def main():
    path, *more = sys.argv[1:]
    table = json.load(open(path))
    templates = [case["template"] for case in table["cases"]]
    for name in more:
        templates += open(name).read().rstrip("\n").split("\n----\n")
    env = environment()
    lines = []
    for template in dict.fromkeys(templates):
        case = render(env, template, json.loads(json.dumps(table["variables"])))
        if "object at 0x" not in json.dumps(case) and "<function" not in json.dumps(case):
            lines.append(json.dumps(case, ensure_ascii=False))
    with open(path, "w") as out:
        out.write('{"variables": ' + json.dumps(table["variables"], ensure_ascii=False) + ',\n"cases": [\n' + ",\n".join(lines) + "\n]}\n")


if __name__ == "__main__":
    main()
