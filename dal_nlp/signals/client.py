"""Questions to an OpenAI-compatible endpoint: one request, tried again where that may help, and what came of it."""

import ipaddress
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dal_nlp.core.config import LanguageModelSection
from dal_nlp.core.errors import UserError

if TYPE_CHECKING:
    import httpx

#: Seconds before the second attempt, doubled before each further one, and the most that is waited.
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
#: Seconds that a reply may take.
TIMEOUT = 120.0
#: Statuses of requests that another attempt may mend, and of those that the endpoint does not understand.
PASSING, NOT_UNDERSTOOD = (408, 409, 425, 429, 500, 502, 503, 504), (400, 415, 422)


class Misunderstood(Exception):
    """The endpoint does not take a request of this form."""


@dataclass(frozen=True)
class Reply:
    """What an endpoint replied.

    Attributes:
        text: As it came.
        first: Log-probabilities of the candidates for its first token, by token; {} where it gives none that is one.
        tokens_in: That it read.
        tokens_out: That it wrote.
        written: Each token that it wrote with its log-probability; () where it gives none, or not of each.
        cut: Whether it wrote as many tokens as it was let.
    """

    text: str
    first: Mapping[str, float]
    tokens_in: int
    tokens_out: int
    written: Sequence[tuple[str, float]] = ()
    cut: bool = False


def is_loopback(url: str) -> bool:
    """Tell whether a URL is on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Client:
    """Sends chat requests.

    Args:
        llm: With the URL; the key is in the environment variable that it names.
        sleep: Waits some seconds.

    Raises:
        UserError: The URL is none, or texts would leave this machine and nobody said that they may.
    """

    def __init__(self, llm: LanguageModelSection, sleep: Callable[[float], None] = time.sleep) -> None:
        self._llm, self._sleep, self._url = llm, sleep, (llm.url or "").rstrip("/")
        if urlsplit(self._url).scheme not in ("http", "https") or not urlsplit(self._url).hostname:
            raise UserError(f"--llm-url {llm.url!r} is no URL, such as http://127.0.0.1:8000/v1.")
        if not is_loopback(self._url) and not llm.send_texts:
            raise UserError(f"The texts would leave this machine for {self._url}: add --send-texts if they may.")

    @cached_property
    def _http(self) -> "httpx.Client":
        try:
            import httpx
        except ImportError:
            raise UserError("An endpoint needs a package more: pip install 'dal-nlp[llm]'.") from None
        key = os.environ.get(self._llm.key_variable, "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(headers=headers, timeout=TIMEOUT, trust_env=not is_loopback(self._url))

    def ask(self, body: Mapping[str, Any]) -> Reply | None:
        """Return the reply to a request, None where every attempt failed.

        Raises:
            Misunderstood: The endpoint refuses a request of this form.
            UserError: It refuses all requests, by its status.
        """
        import httpx

        for attempt in range(self._llm.tries):
            wait = min(LONGEST_WAIT, FIRST_WAIT * 2**attempt)
            try:
                response = self._http.post(f"{self._url}/chat/completions", json=dict(body))
                if response.status_code in NOT_UNDERSTOOD:
                    raise Misunderstood(response.text[:200])
                if response.status_code in PASSING:
                    wait = max(wait, _seconds(response.headers.get("retry-after")))
                elif response.status_code != 200:
                    raise UserError(
                        f"{self._url} answers with status {response.status_code}: check --llm-url, --llm-model and "
                        f"the key in {self._llm.key_variable}."
                    )
                else:
                    return read_reply(response.json())
            except (httpx.TransportError, ValueError, KeyError, IndexError, TypeError):
                pass  # a broken line, or a reply that was cut: asked again
            if attempt + 1 < self._llm.tries:
                self._sleep(min(wait, LONGEST_WAIT))
        return None


def _seconds(header: str | None) -> float:
    """Return the seconds to wait by a header ``Retry-After``, which has them or a date; 0 where it has neither."""
    try:
        return float(header or 0)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(str(header)).timestamp() - time.time()
    except ValueError:
        return 0.0


def read_reply(values: Any) -> Reply:
    """Return what a JSON reply holds; raises ``KeyError``, ``IndexError`` or ``TypeError`` where it is none."""
    choice, usage = values["choices"][0], values.get("usage") or {}
    tokens = (choice.get("logprobs") or {}).get("content") or []
    first = _with_log_probs(tokens[0].get("top_logprobs") or []) if tokens else []
    text = choice["message"].get("content") or ""
    pairs = _with_log_probs(tokens)
    read, wrote = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    whole = pairs if len(pairs) == len(tokens) else []  # what a token without one adds is not known
    return Reply(str(text), dict(first), read, wrote, whole, choice.get("finish_reason") == "length")


def _with_log_probs(tokens: Sequence[Mapping[str, Any]]) -> list[tuple[str, float]]:
    """Return tokens with their log-probabilities; one that is no finite number of 0 at most counts as not given."""
    pairs = [(str(one["token"]), float("nan" if one["logprob"] is None else one["logprob"])) for one in tokens]
    return [(token, log_p) for token, log_p in pairs if math.isfinite(log_p) and log_p <= 0]
