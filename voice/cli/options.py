"""Options that several commands share."""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout instead of words.")]
Url = Annotated[str, typer.Option("--url", envvar="TOCSIN_URL", help="Where the service answers.")]
ApiKey = Annotated[
    str,
    typer.Option(
        "--api-key", envvar="TOCSIN_API_KEY", help="tk_test_…: the catch-all phone only. tk_live_…: your trunks only."
    ),
]
DEFAULT_URL = "http://127.0.0.1:8088"
