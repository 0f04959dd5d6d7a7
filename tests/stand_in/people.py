"""Who may ask: keys of service accounts, refresh tokens of persons, and the tokens that both are exchanged for."""

from __future__ import annotations

import time
from base64 import b64decode
from functools import cache
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

from tests.stand_in.tree import ANN, ROBOT

READ = "https://www.googleapis.com/auth/drive.readonly"
OWN_FILES = "https://www.googleapis.com/auth/drive.file"
WRITE = "https://www.googleapis.com/auth/drive"
AUDIENCE = "https://oauth2.googleapis.com/token"  # in assertions, wherever they are sent
SECRET = "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"
REFRESH_TOKEN = "1//a-refresh-token-that-nobody-may-see"


@cache
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_pem() -> str:
    form = serialization.PrivateFormat.PKCS8
    return private_key().private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def public_pem() -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return private_key().public_key().public_bytes(serialization.Encoding.PEM, form)


class People:
    """Hands out tokens at `<root>token`, as Google does at https://oauth2.googleapis.com/token."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.tokens: dict[str, tuple[str, frozenset[str], float]] = {}
        self.refresh_tokens = {REFRESH_TOKEN: (ANN, frozenset({READ}))}
        self.codes: dict[str, frozenset[str]] = {}
        self.says_yes = True
        self.num_exchanges = 0
        self.clock_is_off_by = 0.0
        self.seconds_of_a_token = 3600

    def service_account_key(self) -> dict[str, str]:
        """What Google's console lets one download."""
        return {
            "type": "service_account",
            "project_id": "project",
            "private_key_id": "k1",
            "private_key": private_pem(),
            "client_email": ROBOT,
            "client_id": "1",
            "token_uri": f"{self.root}token",
        }

    def authorised_user(self, *scopes: str) -> dict[str, Any]:
        """What `tenarai connect` writes."""
        self.refresh_tokens[REFRESH_TOKEN] = (ANN, frozenset(scopes or {READ}))
        return {
            "type": "authorized_user",
            "client_id": "client",
            "client_secret": SECRET,
            "refresh_token": REFRESH_TOKEN,
            "token_uri": f"{self.root}token",
            "scopes": list(scopes or [READ]),
        }

    def client(self) -> dict[str, Any]:
        """An OAuth client of the kind "Desktop app"."""
        return {
            "installed": {
                "client_id": "client",
                "client_secret": SECRET,
                "auth_uri": f"{self.root}auth",
                "token_uri": f"{self.root}token",
                "redirect_uris": ["http://localhost"],
            }
        }

    def allow(self, scopes: str) -> str:
        """The code that a person's browser is sent back with after a click on Allow."""
        code = f"4/{len(self.codes)}"
        self.codes[code] = frozenset(scopes.split())
        return code

    def exchange(self, body: str, authorisation: str = "") -> tuple[int, dict[str, Any]]:
        """A token for an assertion, a refresh token or a code; status and answer."""
        self.num_exchanges += 1
        form = {name: values[0] for name, values in parse_qs(body).items()}
        kind = form.get("grant_type", "")
        if kind == "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return self._exchange_assertion(form["assertion"])
        by_header = b64decode(authorisation.removeprefix("Basic ")).decode().partition(":")[2]
        if SECRET not in {form.get("client_secret"), by_header}:
            return 401, {"error": "invalid_client", "error_description": "Unauthorized"}
        if kind == "authorization_code" and form.get("code") in self.codes:
            scopes = self.codes.pop(form["code"])
            self.refresh_tokens[REFRESH_TOKEN] = (ANN, scopes)
            return 200, self._grant(ANN, scopes) | {"refresh_token": REFRESH_TOKEN, "scope": " ".join(sorted(scopes))}
        if kind == "refresh_token" and form.get("refresh_token") in self.refresh_tokens:
            return 200, self._grant(*self.refresh_tokens[form["refresh_token"]])
        return 400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}

    def who(self, header: str) -> tuple[str, frozenset[str]] | None:
        """Account and scopes of a request's `Authorization`, or None when the token is none or has run out."""
        email, scopes, end = self.tokens.get(header.removeprefix("Bearer "), ("", frozenset(), 0.0))
        return (email, scopes) if email and time.time() < end else None

    def _exchange_assertion(self, assertion: str) -> tuple[int, dict[str, Any]]:
        try:
            claims = jwt.decode(assertion, verify=False)
            jwt.decode(
                assertion,
                certs={"k1": public_pem()},
                audience=[AUDIENCE, f"{self.root}token"],
                clock_skew_in_seconds=10**9,
            )
        except ValueError:
            return 400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
        now = time.time() + self.clock_is_off_by
        if claims["iss"] != ROBOT or not claims["iat"] - 300 <= now <= claims["exp"]:
            told = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
            return 400, {"error": "invalid_grant", "error_description": told}
        return 200, self._grant(ROBOT, frozenset(claims["scope"].split()))

    def _grant(self, email: str, scopes: frozenset[str]) -> dict[str, Any]:
        # never the same twice, not even after all were revoked
        token = f"ya29.{self.num_exchanges}-a-token-that-nobody-may-see"
        self.tokens[token] = (email, scopes, time.time() + self.seconds_of_a_token)
        return {"access_token": token, "expires_in": self.seconds_of_a_token, "token_type": "Bearer"}
