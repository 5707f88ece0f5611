"""Runs the code cells of a notebook in one namespace, as Jupyter would, without it."""

import ast
import io
from contextlib import redirect_stdout


def run(sources):
    """Run code cells in order; the outputs of each, as a notebook has them."""
    namespace, outputs = {}, []
    for source in sources:
        *body, last = ast.parse(source).body
        result, stream = None, io.StringIO()
        with redirect_stdout(stream):
            exec(compile(ast.Module(body, []), "<cell>", "exec"), namespace)  # noqa: S102 - our own notebook
            if isinstance(last, ast.Expr):
                result = eval(compile(ast.Expression(last.value), "<cell>", "eval"), namespace)  # noqa: S307
            else:
                exec(compile(ast.Module([last], []), "<cell>", "exec"), namespace)  # noqa: S102
        found = []
        if text := stream.getvalue():
            found.append({"name": "stdout", "output_type": "stream", "text": text.splitlines(keepends=True)})
        if result is not None:
            data = {"text/plain": repr(result).splitlines(keepends=True)}
            execution = {"execution_count": len(outputs) + 1, "output_type": "execute_result"}
            found.append({"data": data, "metadata": {}, **execution})
        outputs.append(found)
    return outputs
