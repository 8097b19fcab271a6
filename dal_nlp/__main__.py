"""``python -m dal_nlp`` is ``dal-nlp``."""

from dal_nlp_cli.main import main

main()
