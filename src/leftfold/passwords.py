"""Passwords in URLs: where they stand, and the text without them.

Every URL that is printed, logged, raised or shown by a `repr` goes through `without_password`.
"""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from urllib.parse import unquote

HIDDEN = "***"
URL = re.compile(r"[A-Za-z][\w+.-]*://\S+?(?=['\")\],;:.]*(\s|$))")
SETTING = re.compile(r"(?P<name>\w+)\s*=\s*(?P<value>'(?:[^'\\]|\\.)*'|[^\s&]+)")
NO_PORT = re.compile(r"[^/?]*[^/?:\[]:(?P<value>[^/?,:\[\]]*[^0-9/?,:\[\]][^/?,:\[\]]*)(?=[/?,]|$)")
"""What stands where a port is expected and has other characters than digits: a URL that was cut off may end there."""
PORTS = re.compile("[0-9]*(,[0-9]*)*")
USER_IN_PATH = re.compile("[^?]*:///+[^?]*:[^?]*@")
ALREADY_HIDDEN = re.compile(r"\*{3}\W*")
DELIMITERS = re.compile(r"[/@:?&=#%,\s]+")
SECRET_WORDS = re.compile("^pass$|passw|passphrase|pwd|secret|token|credential|^scram_(client|server)_key$")
SECRET_NAMES = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")
SIMILAR = 0.75
SHORT = 4
OWN_OPTIONS = (
    "accept_time busy_timeout clock_bound event_limit group log may_lose mode queue readers through schema timeout"
)
LIBPQ_OPTIONS = """
    application_name channel_binding client_encoding connect_timeout dbname fallback_application_name gssdelegation
    gssencmode gsslib host hostaddr keepalives keepalives_count keepalives_idle keepalives_interval krbsrvname
    load_balance_hosts max_protocol_version min_protocol_version oauth_client_id oauth_issuer oauth_scope options
    passfile port replication require_auth requirepeer requiressl service servicefile ssl_max_protocol_version
    ssl_min_protocol_version sslcert sslcertmode sslcompression sslcrl sslcrldir sslkey sslkeylogfile sslmode
    sslnegotiation sslrootcert sslsni target_session_attrs tcp_user_timeout user
"""
PUBLIC_NAMES = frozenset([*OWN_OPTIONS.split(), *LIBPQ_OPTIONS.split()])
"""Options whose values are shown. A name that follows a password and is none of these may be the rest of it."""


def without_password(url: str) -> str:
    """Return the URL with stars for its passwords, however badly it is written: an `@`, `/`, `?` or `&` may be theirs.

    What stands between the first colon of the authority and the last `@` counts as the password, so that none is shown
    where an `@` occurs further back, too.
    """
    shown: list[str] = []
    end = 0
    for first, last in _spans(url):
        if ALREADY_HIDDEN.fullmatch(url, first, last) is None:
            shown += [url[end:first], HIDDEN]
            end = last
    return "".join([*shown, url[end:]])


def without_passwords(text: str) -> str:
    """Return a text with stars for the passwords of the URLs, and of the `password=...`, that it quotes."""
    if "://" in text:
        text = URL.sub(lambda found: without_password(found[0]), text)
    return SETTING.sub(_hide_setting, text) if "=" in text else text


def without_password_of(url: str, text: str) -> str:
    """Return what somebody says of a URL, with stars where it quotes the password or a part of it."""
    public = without_password(url)
    for secret in sorted(_secrets(url), key=len, reverse=True):
        if secret and secret not in public:
            found = re.escape(secret) if len(secret) >= SHORT else f"(?<=[\"'(]){re.escape(secret)}(?=[\"')])"
            text = re.sub(found, HIDDEN, text)
    return without_passwords(text)


def misread_password(url: str, host: str, port: str) -> str:
    """Return what is wrong with a URL if a part of its password was read as the host, the port or the database."""
    if "@" in host:
        return "an @ in a user name or a password is written %40"
    if not PORTS.fullmatch(port):
        return "its port is no number; a / in a password is written %2F"
    if not host and USER_IN_PATH.match(url):
        return "after three slashes comes the name of a database; user and host come after two"
    return ""


def is_secret(option: str) -> bool:
    """Whether the value of an option of a URL is a password; a misspelled name counts, too."""
    name = unquote(option).lower()
    return bool(SECRET_WORDS.search(name) or get_close_matches(name, SECRET_NAMES[:2], 1, SIMILAR))


def _spans(url: str) -> list[tuple[int, int]]:
    """Where the passwords of a URL stand, in order and without overlaps."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(_found(url)):
        if merged and first < merged[-1][1]:
            first, last = merged[-1][0], max(last, merged.pop()[1])
        merged.append((first, last))
    return merged


def _found(url: str) -> Iterator[tuple[int, int]]:
    scheme, separator, _ = url.partition("://")
    begin = len(scheme) + len(separator) if separator else 0
    is_path = scheme.startswith("sqlite") and url.startswith("/", begin)
    colon, at = url.find(":", begin), url.rfind("@")
    if not is_path and -1 < colon < at:
        yield colon + 1, at
    elif separator and (found := NO_PORT.match(url, begin)):
        yield found.span("value")
    if (question := url.find("?", begin)) >= 0:
        yield from _in_query(url, question + 1)
    if not separator:
        yield from (each.span("value") for each in SETTING.finditer(url) if is_secret(each["name"]))


def _in_query(url: str, begin: int) -> Iterator[tuple[int, int]]:
    after_password = False
    for part in url[begin:].split("&"):
        name, equals, _ = part.partition("=")
        end = begin + len(part)
        if after_password and unquote(name) not in (*PUBLIC_NAMES, *SECRET_NAMES):
            yield begin, end
        elif equals and is_secret(name):
            yield begin + len(name) + 1, end
            after_password = True
        begin = end + 1


def _hide_setting(found: re.Match[str]) -> str:
    if not is_secret(found["name"]) or ALREADY_HIDDEN.fullmatch(found["value"]):
        return found[0]
    return found[0].removesuffix(found["value"]) + HIDDEN


def _secrets(url: str) -> set[str]:
    """Return the passwords of a URL as written, decoded, and in parts."""
    raw = {url[first:last] for first, last in _spans(url)}
    return raw | {unquote(each) for each in raw} | {part for each in raw for part in DELIMITERS.split(each)}
